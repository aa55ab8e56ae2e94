import type { Finding } from '../../src/validation.ts';
import { padme } from './padding.ts';

/**
 * What is inside of sealed records. Each is JSON in UTF-8; the sealing has proved that this program wrote it, so it is
 * not checked a second time.
 */

/** The space of the credentials that all administrators share. */
export const SHARED_SPACE = 'system';

/**
 * Whose credentials: the ones that all administrators share, or those of one other user. Names are unique within a
 * space, so that nobody learns from a refusal what somebody else has.
 */
export type Space = typeof SHARED_SPACE | `uid:${number}`;

/** Somebody who can be granted something, or own it. */
export type PrincipalId = Space | `gid:${number}` | `unit:${string}`;

/** Largest value that lies in the record of its credential, where it is current. Others are records of their own. */
export const INLINE_BYTES_MAX = 1024;
/** Such values take at least as much: most of them show nothing of their size. */
const INLINE_PADDED_BYTES_MIN = 192;
/** Where it begins, behind the end of the JSON: NUL, and two bytes of length. */
const VALUE_OFFSET = 3;

/** Version, generation, changed, changedBy, size, restoredFrom: ten are kept, and their names would be most of a record. */
type StoredVersion = readonly [number, number, number, number, number, number?];

/** One kept version of a credential. */
export interface VersionEntry {
  /** Counts from 1; never used twice by the same credential. */
  readonly version: number;
  /** The commit, among those of the space, that made this version. */
  readonly generation: number;
  /** Milliseconds since the epoch. */
  readonly changed: number;
  readonly changedBy: number;
  /** Bytes of the value. */
  readonly size: number;
  readonly restoredFrom?: number;
}

export interface CredentialRecord {
  /** 16 random bytes in hex, made with the credential: values are found by it, so that one that was removed and made anew shares nothing with its past. */
  readonly id: string;
  readonly space: Space;
  readonly name: string;
  readonly created: number;
  readonly createdBy: number;
  /** Which record has its name, too; of a credential of the shared space. */
  readonly listed?: string | undefined;
  /** Oldest first, at least one; the last one is current. */
  readonly versions: readonly VersionEntry[];
}

/** Names of credentials that were made together, so that they can be named when their records are gone. */
export interface NamesRecord {
  /** Never used twice in a store. */
  readonly id: string;
  readonly names: readonly string[];
}

/** What a principal may read besides its own: a credential by name, or all of a set. */
export interface GrantEntry {
  readonly space: Space;
  readonly kind: 'name' | 'set';
  readonly target: string;
  /** Of a unit: a start of it that asks for what is not there waits until it is. Absent: it fails. */
  readonly missing?: 'block';
}

export interface PrincipalRecord {
  readonly principal: PrincipalId;
  /** Of a space: the number of commits that changed it. */
  readonly generation: number;
  /** Of a space: how many credentials are in it. */
  readonly count: number;
  /** Of one user's space: the names in it. The shared space keeps no list, it may be large and only administrators list it. */
  readonly names: readonly string[];
  /** Of one user's space: the bytes of all kept values. */
  readonly bytes: number;
  readonly grants: readonly GrantEntry[];
  /** Of a space: by the name of a set of which something is left, the generation in which something of it was removed. */
  readonly removals?: Readonly<Record<string, number>>;
  /** Of a space whose contents restores replaced: the generations of what is gone, in ascending ranges. */
  readonly restored?: readonly GenerationRange[];
}

/** The generations between two, neither of which is in it: the last one of a copy, and that of its restore. */
export interface GenerationRange {
  readonly after: number;
  readonly at: number;
}

/** How a set did when it was last tried out. Not part of the set: it changes no generation. */
export interface HealthRecord {
  readonly space: Space;
  readonly set: string;
  /** The set's generation that was tried; what changed later is unproved. */
  readonly generation: number;
  readonly state: 'passed' | 'failed';
  /** When it was tried, in milliseconds since the epoch. */
  readonly checked: number;
  /** When it last passed, at whatever generation. */
  readonly good?: number;
  /** What failed first. */
  readonly finding?: Finding;
}

/** What a value says of itself, so that it can be named when its credential is gone. */
export interface ValueRecord {
  readonly space: Space;
  readonly name: string;
  readonly version: number;
  /** The bytes of the value; wiping them wipes all of it that is secret. */
  readonly value: Uint8Array;
}

/** The version that is current. */
export function currentVersion(record: CredentialRecord): VersionEntry {
  const last = record.versions.at(-1);
  if (last === undefined) throw new TypeError('a credential has at least one version');
  return last;
}

/** The generation in which something of a set was removed last, while there is something else of it; else 0. */
export function removalOf(space: PrincipalRecord | undefined, set: string): number {
  const { removals = {} } = space ?? {};
  // There may be a set that is called `constructor`, as something is that every object has.
  return Object.hasOwn(removals, set) ? (removals[set] ?? 0) : 0;
}

/** What stands for a set where all owners' are; neither part has a space in it. */
export function setKey({ space, set }: { readonly space: Space; readonly set: string }): string {
  return `${space} ${set}`;
}

/** Tells whether a principal can own credentials. */
export function isSpace(principal: PrincipalId): principal is Space {
  return principal === SHARED_SPACE || principal.startsWith('uid:');
}

/** Tells whether nothing would be lost without the record of a principal. */
export function isEmptyPrincipal({ generation, grants }: PrincipalRecord): boolean {
  return generation === 0 && grants.length === 0;
}

/** A principal of whom nothing is known yet. */
export function emptyPrincipal(principal: PrincipalId): PrincipalRecord {
  return { principal, generation: 0, count: 0, names: [], bytes: 0, grants: [] };
}

export function encodeRecord(record: PrincipalRecord | HealthRecord | NamesRecord): Uint8Array {
  return Buffer.from(JSON.stringify(record));
}

/**
 * JSON, which has no NUL in it; where there is a value, NUL ‖ length (u16, big-endian) ‖ value ‖ zeros, up to a size that shows
 * its own only roughly. The caller owns and wipes it.
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

/** In version 1 of the file they had names. */
function decodeVersion(stored: StoredVersion | VersionEntry): VersionEntry {
  if (!isArray(stored)) return stored;
  const [version, generation, changed, changedBy, size, restoredFrom] = stored;
  const entry = { version, generation, changed, changedBy, size };
  return restoredFrom === undefined ? entry : { ...entry, restoredFrom };
}

function isArray(stored: StoredVersion | VersionEntry): stored is StoredVersion {
  return Array.isArray(stored);
}

/** Length of the header (u16, big-endian) ‖ header: space NUL name NUL version ‖ value. The caller owns and wipes it. */
export function encodeValue({ space, name, version, value }: ValueRecord): Uint8Array {
  const header = Buffer.from(`${space}\0${name}\0${version}`);
  const text = Buffer.allocUnsafe(2 + header.length + value.length);
  text.writeUInt16BE(header.length);
  text.set(header, 2);
  text.set(value, 2 + header.length);
  return text;
}

/** The bytes of the value in its record, as a view. */
export function valueIn(text: Uint8Array): Uint8Array {
  const headerBytes = (text[0] ?? 0) * 256 + (text[1] ?? 0);
  return text.subarray(2 + headerBytes);
}

/** The value is a view of `text`. */
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

/** The current value in the record of its credential, as a view; undefined where it is a record of its own. */
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

/** One range by itself stands for a list of one. */
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
