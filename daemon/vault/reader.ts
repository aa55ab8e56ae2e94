import { CredentialError, isCredentialError } from '../../src/errors.ts';
import { FIELD_IDS } from '../../src/providers/registry.ts';
import { memberName } from '../../src/sets.ts';
import { KIND } from '../store/sealed-store.ts';
import type { CachedReader, Kind, SealedRecord } from '../store/sealed-store.ts';
import { currentVersion, decodeCredential, decodeHealth, inlineValueIn, valueIn } from './records.ts';
import type { CredentialRecord, GrantEntry, HealthRecord, PrincipalId, PrincipalRecord, Space } from './records.ts';
import type { Principals } from './principals.ts';
import type { ReadCache, SealedValue } from './read-cache.ts';
import type { Sealing } from './sealing.ts';

/**
 * A record that cannot be decrypted is read again from the disk, which may have returned wrong bytes once. But not more
 * often than this: whoever can damage records must not be able to slow down all reads.
 */
const REREAD_MS = 1000;

/** One page of a listing of credentials. */
export interface CredentialPage {
  readonly records: readonly CredentialRecord[];
  /** Number of records on the page that could not be decrypted. */
  readonly damaged: number;
  /** The `after` argument for the next page; undefined on the last one. */
  readonly next: Uint8Array | undefined;
}

/** One page of a listing of validation results. */
export interface HealthPage {
  readonly records: readonly HealthRecord[];
  readonly next: Uint8Array | undefined;
}

/** One page of records, with what the pages above say of theirs. */
interface Page<T> {
  readonly records: readonly T[];
  readonly damaged: number;
  readonly next: Uint8Array | undefined;
}

/** Decrypts the body of a record; undefined if it is damaged, or in the place of another record. */
type Open<T> = (sealing: Sealing, tag: Uint8Array, body: Uint8Array) => T | undefined;

/** Reads decrypted records: the last committed state, and in a transaction its own changes too, see `VaultWriter`. */
export interface VaultReader {
  /** @throws CredentialError `Damaged` */
  credential(space: Space, name: string): CredentialRecord | undefined;
  /**
   * Returns the existing credentials of a set, by field, in the order of the fields.
   *
   * @throws CredentialError `Damaged`
   */
  setMembers(space: Space, set: string): ReadonlyMap<string, CredentialRecord>;
  /**
   * Returns a kept version of a value; the caller owns and wipes it.
   *
   * @throws CredentialError `Damaged`
   */
  value(record: CredentialRecord, version: number): Uint8Array;
  /**
   * Like {@link value}, without a copy: `use` gets the bytes in place, and they are wiped when it returns. `use` must
   * not keep any of them, and must not read anything else meanwhile.
   *
   * @throws CredentialError `Damaged`
   */
  valueFor<T extends object>(record: CredentialRecord, version: number, use: (value: Uint8Array) => T): T;
  principal(id: PrincipalId): PrincipalRecord | undefined;
  principals(): Iterable<PrincipalRecord>;
  /** Returns to whom a credential or a set was granted, with the grants. */
  grantees(space: Space, kind: GrantEntry['kind'], target: string): ReadonlyMap<PrincipalId, GrantEntry>;
  /**
   * Tells whether a credential or a set was granted to one of these principals. How long that takes depends on what was
   * granted to them, and not on whether the target exists or to whom else it was granted.
   */
  isGranted(principals: readonly PrincipalId[], target: GrantEntry): boolean;
  /** Returns the number of grants that a space has given. */
  grantsGiven(space: Space): number;
  /** Lists the credentials of all spaces, a page at a time, in no meaningful order. Damaged ones are left out. */
  credentials(after: Uint8Array | undefined, limit: number): CredentialPage;
  /** Returns the last validation result of a set; undefined if there is none, or its record is damaged. */
  health(space: Space, set: string): HealthRecord | undefined;
  /** Lists the validation results of all sets of all spaces, a page at a time. */
  healths(after: Uint8Array | undefined, limit: number): HealthPage;
}

/** Returns the result of `read`; if that throws `Damaged`, undefined, and counts it in `count`. */
export function countDamaged<T>(count: { damaged: number }, read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!isCredentialError(error, 'Damaged')) throw error;
    count.damaged += 1;
    return undefined;
  }
}

/** Tells whether a credential exists, even if it is damaged. */
export function exists(reader: VaultReader, space: Space, name: string): boolean {
  try {
    return reader.credential(space, name) !== undefined;
  } catch (error) {
    if (isCredentialError(error, 'Damaged')) return true;
    throw error;
  }
}

/** Decrypts the records of a {@link SealedReader}. */
export class OpeningReader implements VaultReader {
  readonly #records: CachedReader;
  readonly #sealing: Sealing;
  readonly #principals: Principals;
  readonly #cache: ReadCache | undefined;

  /** @param cache only for a reader of committed records, as uncommitted changes must not get into it */
  constructor(records: CachedReader, sealing: Sealing, principals: Principals, cache?: ReadCache) {
    this.#records = records;
    this.#sealing = sealing;
    this.#principals = principals;
    this.#cache = cache;
  }

  credential(space: Space, name: string): CredentialRecord | undefined {
    const known = this.#cache?.record(space, name);
    if (known !== undefined) return known;
    if (this.#cache?.isAbsent(space, name) === true) return undefined;
    const tag = this.#sealing.credentialTag(space, name);
    const found = this.#open(KIND.credential, tag, openWithValue);
    if (found === undefined) {
      this.#cache?.keepAbsent(space, name);
      return undefined;
    }
    const { body, opened } = found;
    if (opened === undefined) throw new CredentialError('Damaged', { name });
    const { record, hasValue } = opened;
    this.#cache?.keepRecord(record);
    if (hasValue) {
      const { version } = currentVersion(record);
      this.#cache?.keepSealedValue(record, { version, record: { kind: KIND.credential, tag, body }, isRead: false });
    }
    return record;
  }

  setMembers(space: Space, set: string): ReadonlyMap<string, CredentialRecord> {
    const known = this.#cache?.setMembers(space, set);
    if (known !== undefined) return known;
    const members = new Map<string, CredentialRecord>();
    for (const field of FIELD_IDS) {
      const record = this.credential(space, memberName(set, field));
      if (record !== undefined) members.set(field, record);
    }
    this.#cache?.keepSetMembers(space, set, members);
    return members;
  }

  value(record: CredentialRecord, version: number): Uint8Array {
    return this.valueFor(record, version, (value) => value.slice());
  }

  valueFor<T extends object>(record: CredentialRecord, version: number, use: (value: Uint8Array) => T): T {
    return this.#cache?.openFor(record, version, use) ?? this.#openValueFor(record, version, use);
  }

  principal(id: PrincipalId): PrincipalRecord | undefined {
    return this.#principals.get(id);
  }

  principals(): Iterable<PrincipalRecord> {
    return this.#principals.values();
  }

  grantees(space: Space, kind: GrantEntry['kind'], target: string): ReadonlyMap<PrincipalId, GrantEntry> {
    return this.#principals.grants.grantees(space, kind, target);
  }

  isGranted(principals: readonly PrincipalId[], target: GrantEntry): boolean {
    return this.#principals.grants.isGranted(principals, target);
  }

  grantsGiven(space: Space): number {
    return this.#principals.grants.given(space);
  }

  credentials(after: Uint8Array | undefined, limit: number): CredentialPage {
    return this.#page(KIND.credential, after, limit, openCredential);
  }

  health(space: Space, set: string): HealthRecord | undefined {
    const tag = this.#sealing.healthTag(space, set);
    return this.#open(KIND.health, tag, openHealth)?.opened;
  }

  healths(after: Uint8Array | undefined, limit: number): HealthPage {
    return this.#page(KIND.health, after, limit, openHealth);
  }

  /** Reads and opens a record; undefined if there is none. `opened` is undefined for a damaged one. */
  #open<T>(kind: Kind, tag: Uint8Array, open: Open<T>): { body: Uint8Array; opened: T | undefined } | undefined {
    const read = (): { body: Uint8Array; opened: T | undefined } | undefined => {
      const body = this.#records.get(kind, tag);
      return body && { body, opened: open(this.#sealing, tag, body) };
    };
    const found = read();
    if (found === undefined || found.opened !== undefined) return found;
    return this.#records.dropCaches(REREAD_MS) ? read() : found;
  }

  #page<T>(kind: Kind, after: Uint8Array | undefined, limit: number, open: Open<T>): Page<T> {
    const read = (): Page<T> => {
      const page = this.#records.list(kind, after, limit);
      const records = page.flatMap(({ tag, body }) => open(this.#sealing, tag, body) ?? []);
      const next = page.length < limit ? undefined : page.at(-1)?.tag;
      return { records, damaged: page.length - records.length, next };
    };
    const page = read();
    return page.damaged > 0 && this.#records.dropCaches(REREAD_MS) ? read() : page;
  }

  #openValueFor<T extends object>(record: CredentialRecord, version: number, use: (value: Uint8Array) => T): T {
    const known = this.#cache?.sealedValue(record, version) ?? this.#readValue(record, version);
    let made = known && this.#openSealed(known, record, version, use);
    if (made === undefined && this.#records.dropCaches(REREAD_MS)) {
      const again = this.#readValue(record, version);
      made = again && this.#openSealed(again, record, version, use);
    }
    if (made === undefined) throw new CredentialError('Damaged', { name: record.name });
    return made;
  }

  #openSealed<T extends object>(
    known: SealedValue,
    record: CredentialRecord,
    version: number,
    use: (value: Uint8Array) => T,
  ): T | undefined {
    const { kind, tag, body } = known.record;
    const made = this.#sealing.openFor(kind, tag, body, (text) => {
      const value = kind === KIND.value ? valueIn(text) : inlineValueIn(text);
      if (value === undefined) return undefined;
      if (known.isRead) this.#cache?.keepValue(record, version, value);
      return use(value);
    });
    if (made !== undefined) known.isRead = true;
    return made;
  }

  #readValue(record: CredentialRecord, version: number): SealedValue | undefined {
    const found = this.#findValue(record, version);
    if (found === undefined) return undefined;
    const sealed = { version, record: found, isRead: false };
    this.#cache?.keepSealedValue(record, sealed);
    return sealed;
  }

  /**
   * Finds the record that contains a value: the one of the credential for an inline value, else a record of its own.
   */
  #findValue(record: CredentialRecord, version: number): SealedRecord | undefined {
    if (version === currentVersion(record).version) {
      const tag = this.#sealing.credentialTag(record.space, record.name);
      const body = this.#records.get(KIND.credential, tag);
      if (body !== undefined && hasInlineValue(this.#sealing, tag, body, record))
        return { kind: KIND.credential, tag, body };
    }
    const tag = this.#sealing.valueTag(record.id, version);
    const body = this.#records.get(KIND.value, tag);
    return body && { kind: KIND.value, tag, body };
  }
}

/** Tells whether a body is this credential at its current version, with an inline value. */
function hasInlineValue(sealing: Sealing, tag: Uint8Array, body: Uint8Array, record: CredentialRecord): boolean {
  const opened = openWithValue(sealing, tag, body);
  if (opened?.hasValue !== true) return false;
  return opened.record.id === record.id && currentVersion(opened.record).version === currentVersion(record).version;
}

/** Decrypts the record of a credential; undefined if it is damaged, or in the place of another record. */
export function openCredential(sealing: Sealing, tag: Uint8Array, body: Uint8Array): CredentialRecord | undefined {
  return sealing.openFor(KIND.credential, tag, body, decodeCredential);
}

/** Like {@link openCredential}, and tells whether the record contains the current value. */
export function openWithValue(
  sealing: Sealing,
  tag: Uint8Array,
  body: Uint8Array,
): { readonly record: CredentialRecord; readonly hasValue: boolean } | undefined {
  return sealing.openFor(KIND.credential, tag, body, (text) => ({
    record: decodeCredential(text),
    hasValue: inlineValueIn(text) !== undefined,
  }));
}

/** Decrypts the result of a validation; undefined if it is damaged, or in the place of another record. */
export function openHealth(sealing: Sealing, tag: Uint8Array, body: Uint8Array): HealthRecord | undefined {
  return sealing.openFor(KIND.health, tag, body, decodeHealth);
}
