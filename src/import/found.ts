import type { ExportedCredential } from '../export-format.ts';
import { foldKey, type Entry } from './entry.ts';
import { ImportError } from './import-error.ts';
import { inferProvider } from './resolve.ts';
import type { Provider } from '../providers/provider.ts';
import { describeKey, withoutSlash } from './text.ts';

/** A set found in a file, which has no name as a set yet. */
export interface FoundSet {
  /** The line where it starts; undefined if it is the whole file. */
  readonly line: number | undefined;
  /** Index of the text that it is in, if the reader takes several texts; 0 if missing. */
  readonly text?: number;
  /** Indices of the texts that have secrets of the set; undefined if the reader takes a single text. */
  readonly secretTexts?: readonly number[];
  /** Name of the profile, alias or remote in the file. Undefined for the only or the default one of the file. */
  readonly label: string | undefined;
  readonly provider: Provider;
  readonly values: ReadonlyMap<string, string>;
  /** The line of each value, as far as the reader knows it. */
  readonly lines?: ReadonlyMap<string, number>;
}

/** A credential found in a file with its name. */
export interface FoundCredential {
  readonly line: number | undefined;
  readonly credential: ExportedCredential;
}

/** Something in a file that cannot be imported. */
export interface Skipped {
  readonly line: number | undefined;
  /** See {@link FoundSet.text}. */
  readonly text?: number;
  /** Its description for the user, which contains no secret. */
  readonly what: string;
  readonly reason: string;
}

/** Everything found in a file. */
export interface Found {
  readonly sets: readonly FoundSet[];
  readonly credentials: readonly FoundCredential[];
  readonly skipped: readonly Skipped[];
}

/** What readers need besides the text. */
export interface ReaderContext {
  /** Reveals a password obscured by `rclone obscure`. Returns undefined if the text is not an obscured password. */
  readonly reveal: (obscured: string) => string | undefined;
}

/** The keys of a file that have a meaning, each with its field id. All other keys are ignored. */
export type FieldsOfKeys = Readonly<Record<string, string>>;

/** Values by field id, and the line of each. */
export class PickedValues extends Map<string, string> {
  readonly lines: Map<string, number> = new Map();
}

/**
 * Picks the values of a section by their keys. Empty values are ignored: that is how tools write options that are not
 * set. An endpoint loses the slashes at its end.
 *
 * @param fields keys, each with the id of the field that it stands for
 * @throws ImportError if two keys give different values for the same field
 */
export function pickValues(entries: readonly Entry[], fields: FieldsOfKeys): PickedValues {
  const byKey = new Map(Object.entries(fields).map(([key, field]) => [foldKey(key), field]));
  const values = new PickedValues();
  for (const { key, value, line } of entries) {
    const field = byKey.get(foldKey(key));
    if (field === undefined || value.trim() === '') continue;
    const plain = field === 'endpoint' ? withoutSlash(value) : value;
    if ((values.get(field) ?? plain) !== plain)
      throw new ImportError(line, `${describeKey(key)} contradicts an earlier key of the same meaning`);
    values.set(field, plain);
    values.lines.set(field, line);
  }
  return values;
}

/** Returns the value of a key, in any spelling that {@link foldKey} treats alike; undefined if missing or empty. */
export function valueOf(entries: readonly Entry[], key: string): string | undefined {
  const value = entries.find((entry) => foldKey(entry.key) === foldKey(key))?.value.trim();
  return value === '' ? undefined : value;
}

/** Why a set cannot be imported that has neither an access key nor a secret key. */
export const NO_KEYS = 'it has no keys';

/** Returns a message on which key of a pair is missing; undefined if both are present. */
export function missingKeyReason(
  values: ReadonlyMap<string, string>,
  access: string,
  secret: string,
): string | undefined {
  const missing = [access, secret].filter((field) => !values.has(field));
  if (missing.length === 0) return undefined;
  return missing.length === 2 ? NO_KEYS : `it has no ${missing[0] === access ? 'access key' : 'secret key'}`;
}

/** Returns a set with the provider inferred from its values, or that of the id `hint`. */
export function foundSet(
  line: number | undefined,
  label: string | undefined,
  values: PickedValues,
  hint: string,
): FoundSet {
  const provider = inferProvider(values, new Set([hint]));
  // Cannot happen, as the hint is always the id of a provider.
  if (provider === undefined) throw new TypeError(`no provider ${hint}`);
  return { line, label, provider, values, lines: values.lines };
}
