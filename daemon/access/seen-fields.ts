import { FIELD_IDS } from '../../src/providers/registry.ts';
import { membershipOf } from '../../src/sets.ts';
import { setKey, setPlaceOf } from '../vault/records.ts';
import type { CredentialRecord, Space } from '../vault/records.ts';
import type { ChangedSets, SetPlace } from './changed-sets.ts';

/** The bit of each field. */
const FIELD_BITS: ReadonlyMap<string, number> = new Map(FIELD_IDS.map((field, index) => [field, 1 << index]));

/** The bit of a set that is to be listed itself. */
const LISTED_BIT: number = 1 << FIELD_IDS.length;

/**
 * Collects the fields that sets have while a list iterates over all credentials. Most sets have few of the many fields
 * that are possible, and looking up each of these would take longer than the list itself. Nothing is known of sets that
 * have changed since the start.
 */
export class SeenFields implements Disposable {
  /** The bits of each set: one number, as there may be hundreds of thousands of sets. */
  readonly #sets: Map<string, number> = new Map();
  readonly #changes: ChangedSets;
  readonly #since: number;

  /** To be made before the first credential is read. */
  constructor(changes: ChangedSets) {
    this.#changes = changes;
    this.#since = changes.begin();
  }

  /** @param isListed whether the set, too, is to be among those of {@link listed} */
  add({ space, name }: CredentialRecord, isListed: boolean): void {
    const member = membershipOf(name);
    if (member === undefined) return;
    const key = setKey({ space, set: member.set });
    const bits = (FIELD_BITS.get(member.field) ?? 0) | (isListed ? LISTED_BIT : 0);
    this.#sets.set(key, (this.#sets.get(key) ?? 0) | bits);
  }

  get size(): number {
    return this.#sets.size;
  }

  /** Returns the sets that are to be listed, in the order in which they were seen first. */
  *listed(): Generator<SetPlace> {
    for (const [key, bits] of this.#sets) if ((bits & LISTED_BIT) !== 0) yield setPlaceOf(key);
  }

  /** Returns the fields that are worth looking up: those seen, or all if the set has changed since the start. */
  fieldsOf(space: Space, set: string): readonly string[] {
    const bits = this.#sets.get(setKey({ space, set }));
    const isAsSeen = this.#changes.isKnown(this.#since) && !this.#changes.hasChanged({ space, set }, this.#since);
    if (bits === undefined || !isAsSeen) return FIELD_IDS;
    return FIELD_IDS.filter((field) => (bits & (FIELD_BITS.get(field) ?? 0)) !== 0);
  }

  /**
   * Returns the sets that changed meanwhile and of which no credential was seen: one may have been removed ahead of the
   * iteration, and another added behind it. None if more sets changed than are remembered.
   */
  missed(): readonly SetPlace[] {
    if (!this.#changes.isKnown(this.#since)) return [];
    return this.#changes.changed(this.#since).filter((place) => !this.#sets.has(setKey(place)));
  }

  [Symbol.dispose](): void {
    this.#changes.end();
  }
}
