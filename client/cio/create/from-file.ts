import { statSync } from 'node:fs';
import { parseDotenv } from '../../../src/import/dotenv.ts';
import { ImportError } from '../../../src/import/import-error.ts';
import { parseIni } from '../../../src/import/ini.ts';
import { meaningOf } from '../../../src/import/keys.ts';
import { parseSetFile, textKindOf, type ParsedSet, type TextKind } from '../../../src/import/set-file.ts';
import { prepareText } from '../../../src/import/text.ts';
import { parseTree } from '../../../src/import/tree.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { canonicalSetName, providerOf } from '../../../src/sets.ts';
import { CommandError } from '../command-error.ts';
import { encodingOf } from '../take-text.ts';
import { readValueFromFile } from '../value-input.ts';
import type { GivenValue, GivenValues } from './given-values.ts';
import { readFileText, readPipe } from './read-text.ts';

/** What people write a set into has a line or two for each field; what is larger is one value. */
const RECOGNISED_BYTES_MAX = 65_536;

/** A file with a set in it, as it was read. */
export interface SetFile {
  /** Undefined where the file does not say. */
  readonly provider: Provider | undefined;
  readonly values: GivenValues;
}

/**
 * Reads a file with a set in it: JSON, YAML, INI as of the AWS tools, or variables.
 *
 * @param path `-` for standard input
 * @throws CommandError `InvalidInput` with the line, and nothing out of the file but names of fields
 */
export function readSetFile(path: string, provider: Provider | undefined, profile: string | undefined): SetFile {
  try {
    const text = path === '-' ? readPipe() : readFileText(path, '--from-file');
    const parsed = parseSetFile(text, { provider, profile });
    return { provider: parsed.provider, values: valuesOf(parsed) };
  } catch (error) {
    throw error instanceof ImportError ? refusalOf(error) : error;
  }
}

function refusalOf({ line, reason }: ImportError, hint?: string): CommandError {
  const place = line === undefined ? 'the file' : `line ${line} of the file`;
  return new CommandError('InvalidInput', `${place}: ${reason}; nothing was stored`, hint);
}

function valuesOf({ values }: ParsedSet): GivenValues {
  return new Map([...values].map(([id, text]): [string, GivenValue] => [id, { text, source: `${id} of the file` }]));
}

/**
 * Tells whether a file, of which nothing was said, is a set and not one value: it names the keys of a provider, or
 * has fields of the provider that the name begins with. The key of a service account is a value of its own, that many keep
 * as it is.
 *
 * @throws CommandError `InvalidInput` where it would be a set of that provider, but for a mistake in how it is written
 */
export function isSetFile(path: string, name: string): boolean {
  const set = canonicalSetName(name);
  const text = set === undefined ? undefined : readRecognised(path);
  if (set === undefined || text === undefined) return false;
  const provider = providerOf(set, undefined);
  try {
    const parsed = parseSetFile(text, { provider, profile: undefined });
    return parsed.provider !== undefined && parsed.values.size > 0 && !parsed.values.has('service_account');
  } catch (error) {
    if (provider !== undefined && error instanceof ImportError && isMalformed(text)) {
      throw refusalOf(error, 'to store the file as one value, as it is: cio credential create NAME - < PATH');
    }
    return false;
  }
}

/** The text of a file that may be a set; one in UTF-16 is known as such here, and refused where it is read. */
function readRecognised(path: string): string | undefined {
  try {
    const stat = statSync(path);
    // What can be read only once is left to whoever takes it as it is.
    if (!stat.isFile() || stat.size > RECOGNISED_BYTES_MAX) return undefined;
    const bytes = readValueFromFile(path, { keepNewline: true });
    try {
      return new TextDecoder(encodingOf(bytes), { fatal: true }).decode(bytes);
    } finally {
      bytes.fill(0);
    }
  } catch {
    return undefined;
  }
}

/** Where a key may stand in JSON and YAML; no key is longer. */
const KEYS = /(?<![\w.-])([\w.-]{1,64})["']?[ \t]{0,8}:/g;
/** Elsewhere only a line begins with one: connection strings and addresses have the same words farther in. */
const FIRST_KEYS = /^[ \t]*(?:export[ \t]+)?([\w.-]{1,64})[ \t]*=/gm;

/** Whether a text is meant as a file with keys of a provider, and is not as such a file should be. */
function isMalformed(text: string): boolean {
  let prepared: string;
  let kind: TextKind;
  try {
    prepared = prepareText(text);
    kind = textKindOf(prepared);
    const keys = prepared.matchAll(kind === 'dotenv' || kind === 'ini' ? FIRST_KEYS : KEYS);
    if (![...keys].some(([, key = '']) => meaningOf(key)?.kind === 'field')) return false;
  } catch {
    return false;
  }
  try {
    if (kind === 'dotenv') parseDotenv(prepared);
    else if (kind === 'ini') parseIni(prepared);
    else parseTree(prepared);
    return false;
  } catch (error) {
    return error instanceof ImportError;
  }
}
