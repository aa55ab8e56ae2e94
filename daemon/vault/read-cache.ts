import { canonicalSetName, membershipOf } from '../../src/sets.ts';
import { SHARED_SPACE } from './records.ts';
import type { CredentialRecord, Space } from './records.ts';

/** Credentials that are remembered. */
const CREDENTIALS_MAX = 1024;
/** Names that nothing is stored under and that are remembered: a set has far more fields than are used of it. */
const ABSENT_MAX = 8192;
/** Sets of which all that is there is remembered; most hosts have a handful. */
const SETS_MAX = 256;
/** Values above this size are read from the store each time. */
const BODY_BYTES_MAX = 4096;

/** A value as it lies in the store. */
export interface SealedValue {
  readonly version: number;
  readonly tag: Uint8Array;
  readonly body: Uint8Array;
}

/**
 * What was read lately: records of credentials, which hold no secret, and values, which stay sealed. The one who commits
 * says what changed.
 */
export class ReadCache {
  /** The one that was used longest ago comes first. */
  readonly #records: Map<string, CredentialRecord> = new Map();
  /** Names without a credential, the one that was found first at the start. */
  readonly #absent: Set<string> = new Set();
  /** What is there of a set, the one that was read first at the start. */
  readonly #sets: Map<string, ReadonlyMap<string, CredentialRecord>> = new Map();
  /** Goes with its record, which is another object after every change. */
  readonly #values: WeakMap<CredentialRecord, SealedValue> = new WeakMap();

  record(space: Space, name: string): CredentialRecord | undefined {
    const key = keyOf(space, name);
    const record = this.#records.get(key);
    if (record !== undefined && this.#records.size >= CREDENTIALS_MAX) {
      this.#records.delete(key);
      this.#records.set(key, record);
    }
    return record;
  }

  keepRecord(record: CredentialRecord): void {
    if (this.#records.size >= CREDENTIALS_MAX) {
      const [oldest] = this.#records.keys();
      if (oldest !== undefined) this.#records.delete(oldest);
    }
    this.#records.set(keyOf(record.space, record.name), record);
  }

  isAbsent(space: Space, name: string): boolean {
    return this.#absent.has(keyOf(space, name));
  }

  keepAbsent(space: Space, name: string): void {
    if (this.#absent.size >= ABSENT_MAX) {
      const [oldest] = this.#absent;
      if (oldest !== undefined) this.#absent.delete(oldest);
    }
    this.#absent.add(keyOf(space, name));
  }

  setMembers(space: Space, set: string): ReadonlyMap<string, CredentialRecord> | undefined {
    return this.#sets.get(keyOf(space, set));
  }

  /** @param members all that is there of it, by field */
  keepSetMembers(space: Space, set: string, members: ReadonlyMap<string, CredentialRecord>): void {
    // A name is forgotten with the set that it is read as: where another one can have it too, nothing is remembered.
    if (canonicalSetName(set) !== set) return;
    if (this.#sets.size >= SETS_MAX) {
      const [oldest] = this.#sets.keys();
      if (oldest !== undefined) this.#sets.delete(oldest);
    }
    this.#sets.set(keyOf(space, set), members);
  }

  value(record: CredentialRecord, version: number): SealedValue | undefined {
    const value = this.#values.get(record);
    return value?.version === version ? value : undefined;
  }

  keepValue(record: CredentialRecord, value: SealedValue): void {
    if (value.body.length <= BODY_BYTES_MAX) this.#values.set(record, value);
  }

  forget(changed: Iterable<CredentialRecord>): void {
    for (const { space, name } of changed) {
      const key = keyOf(space, name);
      this.#records.delete(key);
      this.#absent.delete(key);
      const set = this.#sets.size === 0 ? undefined : membershipOf(name)?.set;
      if (set !== undefined) this.#sets.delete(keyOf(space, set));
    }
  }
}

/** No name has a space in it. Most are of the shared space, and need no new text to be found by. */
function keyOf(space: Space, name: string): string {
  return space === SHARED_SPACE ? name : `${space} ${name}`;
}
