import { membershipOf } from '../../src/sets.ts';
import { SHARED_SPACE, setKey, setPlaceOf } from './records.ts';
import type { CredentialRecord, PrincipalRecord, Space } from './records.ts';

/** Totals of the readable credentials of one space. */
export interface SpaceSummary {
  /** The highest generation of any version. */
  generation: number;
  count: number;
  /** Names of the credentials. Filled for a user's space only, like `bytes`: the shared space records neither. */
  readonly names: string[];
  bytes: number;
}

/** The totals of a space without credentials. */
export const EMPTY_SUMMARY: SpaceSummary = { generation: 0, count: 0, names: [], bytes: 0 };

/** Counts the readable credentials of a store, by space and by set. */
export class SpaceSummaries {
  readonly bySpace: Map<Space, SpaceSummary> = new Map();
  /** Number of credentials in each set, by {@link setKey}. */
  readonly #sets: Map<string, number> = new Map();

  /** Adds a credential whose current value can be read. @param unreadable the versions that cannot */
  add(record: CredentialRecord, unreadable: ReadonlySet<number>): void {
    const summary = this.#count(record, unreadable, 1);
    for (const { generation } of record.versions) summary.generation = Math.max(summary.generation, generation);
    if (record.space !== SHARED_SPACE) summary.names.push(record.name);
  }

  /** Subtracts a credential that was added. The generation stays: it only ever grows. */
  subtract(record: CredentialRecord, unreadable: ReadonlySet<number>): void {
    const summary = this.#count(record, unreadable, -1);
    if (record.space !== SHARED_SPACE) summary.names.splice(summary.names.indexOf(record.name), 1);
  }

  /** Tells whether a set has any credential. */
  hasSet(place: { readonly space: Space; readonly set: string }): boolean {
    return (this.#sets.get(setKey(place)) ?? 0) > 0;
  }

  /** Returns the sets of which these credentials, all of them added, are all that there is. */
  setsWithin(records: readonly CredentialRecord[]): ReturnType<typeof setPlaceOf>[] {
    const counts = new Map<string, number>();
    for (const record of records) {
      const key = keyOfSet(record);
      if (key !== undefined) counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return [...counts].filter(([key, count]) => count === this.#sets.get(key)).map(([key]) => setPlaceOf(key));
  }

  /** Tells whether the record of a space has the totals of its credentials. */
  matches(space: Space, record: PrincipalRecord): boolean {
    const { generation, count, names, bytes } = this.bySpace.get(space) ?? EMPTY_SUMMARY;
    if (record.count !== count || record.bytes !== bytes || record.generation < generation) return false;
    return record.names.toSorted().join() === names.toSorted().join();
  }

  #count(record: CredentialRecord, unreadable: ReadonlySet<number>, sign: 1 | -1): SpaceSummary {
    const summary = this.bySpace.get(record.space) ?? { generation: 0, count: 0, names: [], bytes: 0 };
    this.bySpace.set(record.space, summary);
    summary.count += sign;
    const key = keyOfSet(record);
    if (key !== undefined) this.#sets.set(key, (this.#sets.get(key) ?? 0) + sign);
    if (record.space === SHARED_SPACE) return summary;
    for (const { version, size } of record.versions) if (!unreadable.has(version)) summary.bytes += sign * size;
    return summary;
  }
}

/** The key of the set that a credential is part of, if it is part of one. */
function keyOfSet({ space, name }: CredentialRecord): string | undefined {
  const set = membershipOf(name)?.set;
  return set === undefined ? undefined : setKey({ space, set });
}
