import { statSync } from 'node:fs';
import { parseDotenv } from '../../../src/import/dotenv.ts';
import { ImportError, MistypedKeyError } from '../../../src/import/import-error.ts';
import { parseIni } from '../../../src/import/ini.ts';
import { meaningOf } from '../../../src/import/keys.ts';
import { parseSetFile, textKindOf, type ParsedSet, type TextKind } from '../../../src/import/set-file.ts';
import { prepareText } from '../../../src/import/text.ts';
import { parseTree } from '../../../src/import/tree.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { canonicalSetName, providerOf } from '../../../src/sets.ts';
import { CommandError } from '../command-error.ts';
import { encodingOf } from '../decode-text.ts';
import { readValueFromFile } from '../value-input.ts';
import type { GivenValue, GivenValues } from './given-values.ts';
import { readFileText, readPipe } from './read-text.ts';

/**
 * Largest file that is examined for a set, in bytes. A set takes a line or two per field; a larger file is one value.
 */
const RECOGNISED_BYTES_MAX = 65_536;

/** The content of a file with a set. */
export interface SetFile {
  /** Undefined if the file does not name the provider. */
  readonly provider: Provider | undefined;
  readonly values: GivenValues;
}

/**
 * Reads a file with a set: JSON, YAML, INI as of the AWS tools, or variables.
 *
 * @param path `-` for standard input
 * @throws CommandError `InvalidInput`, which names the line, and quotes nothing from the file but names of fields
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
 * Tells whether a file is a set rather than a single value, if the options do not say: it has the keys of a provider,
 * or fields of the provider that the name begins with. A service account's key file counts as a single value, as many
 * users keep it as it is.
 *
 * @throws CommandError `InvalidInput` if it would be a set of that provider, but for a syntax error or a mistyped key
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
    if (provider === undefined || !(error instanceof ImportError)) return false;
    if (error instanceof MistypedKeyError || isMalformed(text)) {
      throw refusalOf(error, 'to store the file as one value, as it is: cio credential create NAME - < PATH');
    }
    return false;
  }
}

/**
 * Returns the text of a file that may be a set. UTF-16 is decoded too, so that such a set is recognised, and then
 * refused.
 */
function readRecognised(path: string): string | undefined {
  try {
    const stat = statSync(path);
    // A pipe can be read only once: it is left for reading the value.
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

/** Matches anything that may be a key in JSON or YAML; no known key is longer. */
const KEYS = /(?<![\w.-])([\w.-]{1,64})["']?[ \t]{0,8}:/g;
/**
 * Matches a key in other formats, at the start of a line only: connection strings and addresses have such words inside.
 */
const LINE_START_KEYS = /^[ \t]*(?:export[ \t]+)?([\w.-]{1,64})[ \t]*=/gm;

/** Tells whether a text has keys of a provider, but a syntax error as a file of its kind. */
function isMalformed(text: string): boolean {
  let prepared: string;
  let kind: TextKind;
  try {
    prepared = prepareText(text);
    kind = textKindOf(prepared);
    const keys = prepared.matchAll(kind === 'dotenv' || kind === 'ini' ? LINE_START_KEYS : KEYS);
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
