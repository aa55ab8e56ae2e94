import { canonicalSetName, membershipOf } from '../../src/sets.ts';
import type { SealedRecord } from '../store/sealed-store.ts';
import type { MaskedValues } from './masked-values.ts';
import { RecentMap } from './recent-map.ts';
import { SHARED_SPACE } from './records.ts';
import type { CredentialRecord, Space } from './records.ts';

/** Credentials that are remembered, and up to twice as many; so of the next two. */
const CREDENTIALS = 1024;
/** Names that nothing is stored under and that are remembered: a set has far more fields than are used of it. */
const ABSENT = 4096;
/** Sets of which all that is there is remembered; most hosts have a handful. */
const SETS = 128;
/** Values above this size are read from the store each time. */
const BODY_BYTES_MAX = 4096;

/** A value as it lies in the store: in a record of its own, or in that of its credential. */
export interface SealedValue {
  readonly version: number;
  readonly record: SealedRecord;
  /** Whether it was opened before. */
  isRead: boolean;
}

/**
 * What was read lately: records of credentials, which hold no secret, and values, which stay sealed or, where they are read
 * again, masked. The one who commits says what changed.
 */
export class ReadCache {
  readonly #records: RecentMap<CredentialRecord> = new RecentMap(CREDENTIALS);
  readonly #absent: RecentMap<true> = new RecentMap(ABSENT);
  readonly #sets: RecentMap<ReadonlyMap<string, CredentialRecord>> = new RecentMap(SETS);
  readonly #masked: MaskedValues;
  /** Goes with its record, which is another object after every change. */
  readonly #sealed: WeakMap<CredentialRecord, SealedValue> = new WeakMap();

  /** @param masked for values that are read more than once; emptied, for what is in it was kept by the one before */
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

  /** @param members all that is there of it, by field */
  keepSetMembers(space: Space, set: string, members: ReadonlyMap<string, CredentialRecord>): void {
    // A name is forgotten with the set that it is read as: where another one can have it too, nothing is remembered.
    if (canonicalSetName(set) === set) this.#sets.set(keyOf(space, set), members);
  }

  /** A value as it lies in the store, if that was read before. */
  sealedValue(record: CredentialRecord, version: number): SealedValue | undefined {
    const value = this.#sealed.get(record);
    return value?.version === version ? value : undefined;
  }

  keepSealedValue(record: CredentialRecord, value: SealedValue): void {
    if (value.record.body.length <= BODY_BYTES_MAX) this.#sealed.set(record, value);
  }

  /** What `use` makes of a value that was read more than once; undefined of any other. It keeps nothing of the value. */
  openFor<T extends object>(record: CredentialRecord, version: number, use: (value: Uint8Array) => T): T | undefined {
    return this.#masked.openFor(keyOf(record.space, record.name), record, version, use);
  }

  /** @param value stays the caller's */
  keepValue(record: CredentialRecord, version: number, value: Uint8Array): void {
    this.#masked.keep(keyOf(record.space, record.name), record, version, value);
  }

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

/** No name has a space in it. Most are of the shared space, and need no new text to be found by. */
function keyOf(space: Space, name: string): string {
  return space === SHARED_SPACE ? name : `${space} ${name}`;
}
