import { statSync } from 'node:fs';
import { ImportError } from '../../../src/import/import-error.ts';
import { parseSetFile, type ParsedSet } from '../../../src/import/set-file.ts';
import type { Provider } from '../../../src/providers/provider.ts';
import { canonicalSetName, providerOf } from '../../../src/sets.ts';
import { CommandError } from '../command-error.ts';
import type { GivenValue, GivenValues } from './given-values.ts';
import { readFileText } from './read-text.ts';

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
 * @throws CommandError `InvalidInput` with the line, and nothing out of the file but names of fields
 */
export function readSetFile(path: string, provider: Provider | undefined, profile: string | undefined): SetFile {
  try {
    const parsed = parseSetFile(readFileText(path, '--from-file'), { provider, profile });
    return { provider: parsed.provider, values: valuesOf(parsed) };
  } catch (error) {
    if (!(error instanceof ImportError)) throw error;
    const place = error.line === undefined ? 'the file' : `line ${error.line} of the file`;
    throw new CommandError('InvalidInput', `${place}: ${error.reason}; nothing was stored`);
  }
}

function valuesOf({ values }: ParsedSet): GivenValues {
  return new Map([...values].map(([id, text]): [string, GivenValue] => [id, { text, source: `${id} of the file` }]));
}

/**
 * Tells whether a file, of which nothing was said, is a set and not one value: it names the keys of a provider, or
 * has fields of the provider that the name begins with. The key of a service account is a value of its own, that many keep
 * as it is.
 */
export function isSetFile(path: string, name: string): boolean {
  const set = canonicalSetName(name);
  if (set === undefined) return false;
  try {
    const stat = statSync(path);
    // What can be read only once is left to whoever takes it as it is.
    if (!stat.isFile() || stat.size > RECOGNISED_BYTES_MAX) return false;
    const text = readFileText(path, '--from-file');
    const parsed = parseSetFile(text, { provider: providerOf(set, undefined), profile: undefined });
    return parsed.provider !== undefined && parsed.values.size > 0 && !parsed.values.has('service_account');
  } catch {
    return false;
  }
}
