import { canonicalSetName, membershipOf } from '../../src/sets.ts';
import type { SealedRecord } from '../store/sealed-store.ts';
import type { MaskedValues } from './masked-values.ts';
import { RecentMap } from './recent-map.ts';
import { SHARED_SPACE } from './records.ts';
import type { CredentialRecord, Space } from './records.ts';

/** How many credentials are kept at least; at most twice as many, see `RecentMap`. The next two likewise. */
const CREDENTIALS = 1024;
/** How many names without a credential are kept: a set has many more possible fields than are used. */
const ABSENT = 4096;
/** How many sets are kept with all their members; most hosts have a handful of sets. */
const SETS = 128;
/** Values above this size are read from the store each time. */
const BODY_BYTES_MAX = 4096;

/** A value in sealed form: the record that contains it, which is its own or that of its credential. */
export interface SealedValue {
  readonly version: number;
  readonly record: SealedRecord;
  /** Whether it was decrypted before. */
  isRead: boolean;
}

/**
 * Caches what was read recently: decoded credentials, which hold no secret, and values, which stay sealed, or masked if
 * they are read repeatedly. The vault calls {@link forget} after each commit.
 */
export class ReadCache {
  readonly #records: RecentMap<CredentialRecord> = new RecentMap(CREDENTIALS);
  readonly #absent: RecentMap<true> = new RecentMap(ABSENT);
  readonly #sets: RecentMap<ReadonlyMap<string, CredentialRecord>> = new RecentMap(SETS);
  readonly #masked: MaskedValues;
  /** Keyed by the decoded record, which is a new object after every change, so that entries disappear with it. */
  readonly #sealed: WeakMap<CredentialRecord, SealedValue> = new WeakMap();

  /** @param masked for values that are read more than once; wiped first, as its entries belong to an earlier cache */
  constructor(masked: MaskedValues) {
    masked.wipe();
    this.#masked = masked;
  }

  record(space: Space, name: string): CredentialRecord | undefined {
    return this.#records.get(keyOf(space, name));
  }

  keepRecord(record: CredentialRecord): void {
    this.#records.set(keyOf(record.space, record.name), record);
  }

  isAbsent(space: Space, name: string): boolean {
    return this.#absent.get(keyOf(space, name)) === true;
  }

  keepAbsent(space: Space, name: string): void {
    this.#absent.set(keyOf(space, name), true);
  }

  setMembers(space: Space, set: string): ReadonlyMap<string, CredentialRecord> | undefined {
    return this.#sets.get(keyOf(space, set));
  }

  /** @param members all credentials of the set, by field */
  keepSetMembers(space: Space, set: string, members: ReadonlyMap<string, CredentialRecord>): void {
    // `forget` finds a set by its canonical name only, so a set under any other name must not be kept.
    if (canonicalSetName(set) === set) this.#sets.set(keyOf(space, set), members);
  }

  /** Returns the sealed form of a value, if it was read before. */
  sealedValue(record: CredentialRecord, version: number): SealedValue | undefined {
    const value = this.#sealed.get(record);
    return value?.version === version ? value : undefined;
  }

  keepSealedValue(record: CredentialRecord, value: SealedValue): void {
    if (value.record.body.length <= BODY_BYTES_MAX) this.#sealed.set(record, value);
  }

  /**
   * Calls `use` with a masked value and returns the result; undefined if the value is not masked. `use` must not keep
   * any of the value.
   */
  openFor<T extends object>(record: CredentialRecord, version: number, use: (value: Uint8Array) => T): T | undefined {
    return this.#masked.openFor(keyOf(record.space, record.name), record, version, use);
  }

  /** Keeps a value in masked form, if there is room. @param value stays the caller's */
  keepValue(record: CredentialRecord, version: number, value: Uint8Array): void {
    this.#masked.keep(keyOf(record.space, record.name), record, version, value);
  }

  /** Drops everything that depends on credentials that were changed. */
  forget(changed: Iterable<CredentialRecord>): void {
    for (const { space, name } of changed) {
      const key = keyOf(space, name);
      this.#records.delete(key);
      this.#absent.delete(key);
      this.#masked.forget(key);
      const set = this.#sets.size === 0 ? undefined : membershipOf(name)?.set;
      if (set !== undefined) this.#sets.delete(keyOf(space, set));
    }
  }
}

/** Unambiguous, as no name contains a blank. Names of the shared space, the most frequent ones, need no new string. */
function keyOf(space: Space, name: string): string {
  return space === SHARED_SPACE ? name : `${space} ${name}`;
}
