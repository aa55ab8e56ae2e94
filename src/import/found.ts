import type { ExportedCredential } from '../export-format.ts';
import { foldKey, type Entry } from './entry.ts';
import { ImportError } from './import-error.ts';
import { inferProvider } from './resolve.ts';
import type { Provider } from '../providers/provider.ts';
import { describeKey } from './text.ts';

/** What a file has of one set, before the set has its name. */
export interface FoundSet {
  /** Where it begins; undefined for what is all of a file. */
  readonly line: number | undefined;
  /** Which of the texts of a reader that takes several; the first unless given. */
  readonly text?: number;
  /** Which of these texts have secrets of it; undefined where its reader takes one. */
  readonly secretTexts?: readonly number[];
  /** What the file calls it: a profile, an alias, a remote. Undefined for the file's only or default one. */
  readonly label: string | undefined;
  readonly provider: Provider;
  readonly values: ReadonlyMap<string, string>;
  /** Where each of them is, as far as its reader knows. */
  readonly lines?: ReadonlyMap<string, number>;
}

/** A credential that has its name already. */
export interface FoundCredential {
  readonly line: number | undefined;
  readonly credential: ExportedCredential;
}

/** What is there and cannot be imported. */
export interface LeftOut {
  readonly line: number | undefined;
  /** See {@link FoundSet.text}. */
  readonly text?: number;
  /** What the file calls it; shown, and no secret. */
  readonly what: string;
  readonly reason: string;
}

/** All that a file has. */
export interface Found {
  readonly sets: readonly FoundSet[];
  readonly credentials: readonly FoundCredential[];
  readonly leftOut: readonly LeftOut[];
}

/** What a reader of one kind of file is given besides its text. */
export interface ReaderContext {
  /** Takes off what rclone puts over passwords (`rclone obscure`); undefined for what is nothing of that kind. */
  readonly reveal: (obscured: string) => string | undefined;
}

/** The entries of a section whose keys have a meaning, by field; what has no other meaning is not looked at. */
export type FieldsOfKeys = Readonly<Record<string, string>>;

/** Values by field, and the line of each. */
export class PickedValues extends Map<string, string> {
  readonly lines: Map<string, number> = new Map();
}

/**
 * Picks the values of a section by its keys. An empty value is as none: tools write options that were never set so.
 *
 * @param fields keys, and the fields that they stand for
 * @throws ImportError where two keys give two values for one field
 */
export function pickValues(entries: readonly Entry[], fields: FieldsOfKeys): PickedValues {
  const byKey = new Map(Object.entries(fields).map(([key, field]) => [foldKey(key), field]));
  const values = new PickedValues();
  for (const { key, value, line } of entries) {
    const field = byKey.get(foldKey(key));
    if (field === undefined || value.trim() === '') continue;
    if ((values.get(field) ?? value) !== value)
      throw new ImportError(line, `${describeKey(key)} says something else than a key before it`);
    values.set(field, value);
    values.lines.set(field, line);
  }
  return values;
}

/** The value of a key, whatever its case; undefined for an empty one. */
export function valueOf(entries: readonly Entry[], key: string): string | undefined {
  const value = entries.find((entry) => foldKey(entry.key) === foldKey(key))?.value.trim();
  return value === '' ? undefined : value;
}

/** What a pair of keys lacks to be one; undefined where it is whole. */
export function lackOf(values: ReadonlyMap<string, string>, access: string, secret: string): string | undefined {
  const missing = [access, secret].filter((field) => !values.has(field));
  if (missing.length === 0) return undefined;
  return missing.length === 2 ? 'it has no keys' : `it has no ${missing[0] === access ? 'access key' : 'secret key'}`;
}

/** A set with the provider that its values speak of. */
export function foundSet(
  line: number | undefined,
  label: string | undefined,
  values: PickedValues,
  hint: string,
): FoundSet {
  const provider = inferProvider(values, new Set([hint]));
  // The hint is the id of a provider, so that there is always one.
  if (provider === undefined) throw new TypeError(`no provider ${hint}`);
  return { line, label, provider, values, lines: values.lines };
}

/** An endpoint without the slash that many write behind it. */
export function withoutSlash(url: string): string {
  return url.trim().replace(/\/+$/, '');
}
