import type { Finding } from '../../src/validation.ts';
import { padme } from './padding.ts';

/**
 * The plaintext of sealed records. Each is JSON in UTF-8, except that values are bytes. Decryption has already proved
 * that this program wrote a record, so its contents are not validated again.
 */

/** The space whose credentials all administrators share. */
export const SHARED_SPACE = 'system';

/**
 * The owner of credentials: either all administrators together, or one other user. Names are unique per space and not
 * per store, so that a refused name tells a user nothing about the credentials of others.
 */
export type Space = typeof SHARED_SPACE | `uid:${number}`;

/** Anyone who can own credentials or be granted them. */
export type PrincipalId = Space | `gid:${number}` | `unit:${string}`;

/**
 * Largest value that is stored inline, in the record of its credential, while it is current. Others are separate
 * records.
 */
export const INLINE_BYTES_MAX = 1024;
/** Smallest padded size of an inline value: most values have this size, and so reveal nothing of their own. */
const INLINE_PADDED_BYTES_MIN = 192;
/** Offset of the inline value from the end of the JSON: NUL, and two bytes of length. */
const VALUE_OFFSET = 3;

/**
 * Version, generation, changed, changedBy, size, restoredFrom. An array, since up to ten versions are kept and the
 * field names would make up most of a record.
 */
type StoredVersion = readonly [number, number, number, number, number, number?];

/** One kept version of a credential. */
export interface VersionEntry {
  /** Counts from 1; never reused by the same credential. */
  readonly version: number;
  /** The generation of the space that made this version. */
  readonly generation: number;
  /** Milliseconds since the epoch. */
  readonly changed: number;
  readonly changedBy: number;
  /** Bytes of the value. */
  readonly size: number;
  readonly restoredFrom?: number;
}

export interface CredentialRecord {
  /**
   * 16 random bytes in hex, chosen when the credential is created. Values are found by this id, so that a credential
   * that was removed and created again shares nothing with its past.
   */
  readonly id: string;
  readonly space: Space;
  readonly name: string;
  readonly created: number;
  readonly createdBy: number;
  /** The id of the names record that lists this credential; only in the shared space. */
  readonly listed?: string | undefined;
  /** Oldest first, at least one; the last one is current. */
  readonly versions: readonly VersionEntry[];
}

/** Names of credentials that were created in one commit, so that a lost record can still be named. */
export interface NamesRecord {
  /** Never reused in a store. */
  readonly id: string;
  readonly names: readonly string[];
}

/** A grant: a credential, by name, or a whole set that a principal may read besides its own credentials. */
export interface GrantEntry {
  readonly space: Space;
  readonly kind: 'name' | 'set';
  readonly target: string;
  /** Only for a unit: if its start asks for something that does not exist yet, it waits. Absent: the start fails. */
  readonly missing?: 'block';
}

export interface PrincipalRecord {
  readonly principal: PrincipalId;
  /** For a space: the number of commits that changed it. */
  readonly generation: number;
  /** For a space: the number of credentials in it. */
  readonly count: number;
  /**
   * For a user's space: the names of its credentials. Empty for the shared space, which may be large and which only
   * administrators list.
   */
  readonly names: readonly string[];
  /** For a user's space: the total bytes of all kept values. */
  readonly bytes: number;
  readonly grants: readonly GrantEntry[];
  /** For a space: by the name of a set that still has fields, the generation that last removed one of its fields. */
  readonly removals?: Readonly<Record<string, number>>;
  /** For a space whose contents were replaced by restores: ascending ranges of the generations that are gone. */
  readonly restored?: readonly GenerationRange[];
}

/** The generations between `after`, the last one of a copy, and `at`, that of its restore; both ends are excluded. */
export interface GenerationRange {
  readonly after: number;
  readonly at: number;
}

/** The result of the last validation of a set. It is not part of the set: storing it changes no generation. */
export interface HealthRecord {
  readonly space: Space;
  readonly set: string;
  /** The generation of the set that was validated; later changes are not. */
  readonly generation: number;
  readonly state: 'passed' | 'failed';
  /** When it was validated, in milliseconds since the epoch. */
  readonly checked: number;
  /** When it last passed, at any generation; milliseconds since the epoch. */
  readonly good?: number;
  /** The first check that failed. */
  readonly finding?: Finding;
}

/** A value in a record of its own. It names its credential, so that it can be identified when that is lost. */
export interface ValueRecord {
  readonly space: Space;
  readonly name: string;
  readonly version: number;
  /** The bytes of the value, the only secret part of the record: it is enough to wipe these. */
  readonly value: Uint8Array;
}

/** Returns the current version of a credential. */
export function currentVersion(record: CredentialRecord): VersionEntry {
  const last = record.versions.at(-1);
  if (last === undefined) throw new TypeError('a credential has at least one version');
  return last;
}

/** Returns the generation that last removed a field of a set that still has others; 0 if there is none. */
export function removalOf(space: PrincipalRecord | undefined, set: string): number {
  const { removals = {} } = space ?? {};
  // A set may be called `constructor`, or like any other property that all objects inherit.
  return Object.hasOwn(removals, set) ? (removals[set] ?? 0) : 0;
}

/** Returns a key that identifies a set among those of all owners. Unambiguous, as neither part contains a blank. */
export function setKey({ space, set }: { readonly space: Space; readonly set: string }): string {
  return `${space} ${set}`;
}

/** Splits a key that {@link setKey} returned into its space and its set. */
export function setPlaceOf(key: string): { space: Space; set: string } {
  const at = key.indexOf(' ');
  return { space: key.slice(0, at) as Space, set: key.slice(at + 1) };
}

/** Tells whether a principal can own credentials. */
export function isSpace(principal: PrincipalId): principal is Space {
  return principal === SHARED_SPACE || principal.startsWith('uid:');
}

/** Tells whether the record of a principal holds no information, so that it need not be stored. */
export function isEmptyPrincipal({ generation, grants }: PrincipalRecord): boolean {
  return generation === 0 && grants.length === 0;
}

/** Returns the record of a principal that has none in the store yet. */
export function emptyPrincipal(principal: PrincipalId): PrincipalRecord {
  return { principal, generation: 0, count: 0, names: [], bytes: 0, grants: [] };
}

export function encodeRecord(record: PrincipalRecord | HealthRecord | NamesRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

/**
 * Encodes a credential: JSON, which contains no NUL, and for an inline value NUL ‖ length (u16, big-endian) ‖ value ‖
 * zeros, padded so that the total reveals the value's length only roughly. The caller owns and wipes the result.
 */
export function encodeCredential(record: CredentialRecord, value?: Uint8Array): Uint8Array {
  const json = Buffer.from(JSON.stringify({ ...record, versions: record.versions.map(encodeVersion) }));
  if (value === undefined) return json;
  const start = json.length + VALUE_OFFSET;
  const text = new Uint8Array(json.length + 1 + padme(Math.max(INLINE_PADDED_BYTES_MIN, 2 + value.length)));
  text.set(json);
  text[start - 2] = value.length >> 8;
  text[start - 1] = value.length & 0xff;
  text.set(value, start);
  return text;
}

function encodeVersion(entry: VersionEntry): StoredVersion {
  const { version, generation, changed, changedBy, size, restoredFrom } = entry;
  const common = [version, generation, changed, changedBy, size] as const;
  return restoredFrom === undefined ? common : [...common, restoredFrom];
}

/** Decodes a version; in format version 1, versions are objects and not arrays. */
function decodeVersion(stored: StoredVersion | VersionEntry): VersionEntry {
  if (!isArray(stored)) return stored;
  const [version, generation, changed, changedBy, size, restoredFrom] = stored;
  const entry = { version, generation, changed, changedBy, size };
  return restoredFrom === undefined ? entry : { ...entry, restoredFrom };
}

function isArray(stored: StoredVersion | VersionEntry): stored is StoredVersion {
  return Array.isArray(stored);
}

/**
 * Encodes a value record: length of the header (u16, big-endian) ‖ header ‖ value, where the header is space NUL name
 * NUL version. The caller owns and wipes the result.
 */
export function encodeValue({ space, name, version, value }: ValueRecord): Uint8Array {
  const header = Buffer.from(`${space}\0${name}\0${version}`);
  const text = Buffer.allocUnsafe(2 + header.length + value.length);
  text.writeUInt16BE(header.length);
  text.set(header, 2);
  text.set(value, 2 + header.length);
  return text;
}

/** Returns the value in the text of a value record, as a view. */
export function valueIn(text: Uint8Array): Uint8Array {
  const headerBytes = (text[0] ?? 0) * 256 + (text[1] ?? 0);
  return text.subarray(2 + headerBytes);
}

/** Decodes a value record; the value is a view of `text`. */
export function decodeValue(text: Uint8Array): ValueRecord {
  const value = valueIn(text);
  const header = Buffer.from(text.subarray(2, text.length - value.length)).toString('latin1');
  const [space = '', name = '', version = ''] = header.split('\0');
  return { space: space as Space, name, version: Number(version), value };
}

export function decodeCredential(text: Uint8Array): CredentialRecord {
  const end = text.indexOf(0);
  const json = Buffer.from(text.buffer, text.byteOffset, end === -1 ? text.byteLength : end).toString();
  const record = JSON.parse(json) as Omit<CredentialRecord, 'versions'> & {
    readonly versions: readonly (StoredVersion | VersionEntry)[];
  };
  return { ...record, versions: record.versions.map(decodeVersion) };
}

/** Returns the inline value in the text of a credential record, as a view; undefined if it has none. */
export function inlineValueIn(text: Uint8Array): Uint8Array | undefined {
  const end = text.indexOf(0);
  if (end === -1) return undefined;
  const bytes = (text[end + 1] ?? 0) * 256 + (text[end + 2] ?? 0);
  return text.subarray(end + VALUE_OFFSET, end + VALUE_OFFSET + bytes);
}

export function decodeNames(text: Uint8Array): NamesRecord {
  return JSON.parse(Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString()) as NamesRecord;
}

export function decodeHealth(text: Uint8Array): HealthRecord {
  return JSON.parse(Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString()) as HealthRecord;
}

/** As stored: a single range may stand for a list of one. */
type StoredPrincipal = Omit<PrincipalRecord, 'restored'> & {
  readonly restored?: readonly GenerationRange[] | GenerationRange;
};

export function decodePrincipal(text: Uint8Array): PrincipalRecord {
  const record = JSON.parse(Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString()) as StoredPrincipal;
  const { restored, ...others } = record;
  return restored !== undefined && 'after' in restored
    ? { ...others, restored: [restored] }
    : (record as PrincipalRecord);
}
