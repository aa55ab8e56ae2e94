import { SHARED_SPACE } from './records.ts';
import type { CredentialRecord } from './records.ts';

/** Most names in one list: a list is rewritten when one of its names is removed. */
const NAMES_MAX = 64;

/** A name that a call adds to a list, or removes from it. */
interface Listing {
  readonly id: string;
  readonly name: string;
  readonly isListed: boolean;
}

/**
 * The changes of one commit to the lists of names of shared credentials. There is no list of all names; these short
 * lists serve to name credentials whose records are lost. Names that are stored for the first time in one commit share
 * a list.
 */
export class NameLists {
  readonly #commit: number;
  /** By the id of a list and by name: whether the list contains the name after the commit. */
  readonly #kept: Map<string, Map<string, boolean>> = new Map();
  #changes: Listing[] = [];
  /** Number of names that were assigned to a list, including those of dropped calls. */
  #given = 0;

  /** @param commit the number of this commit, counted from the first one of the store */
  constructor(commit: number) {
    this.#commit = commit;
  }

  /** Returns the credential with the id of its list; assigns a list to a shared credential that has none. */
  listed(record: CredentialRecord): CredentialRecord {
    if (record.space !== SHARED_SPACE || record.listed !== undefined) return record;
    const id = `${this.#commit}.${Math.floor(this.#given / NAMES_MAX)}`;
    this.#given += 1;
    this.#changes.push({ id, name: record.name, isListed: true });
    return { ...record, listed: id };
  }

  /** Removes a name from a list. */
  remove(id: string, name: string): void {
    this.#changes.push({ id, name, isListed: false });
  }

  /** Adds the changes since the last {@link keep} or {@link drop} to the commit. */
  keep(): void {
    for (const { id, name, isListed } of this.#changes) {
      const list = this.#kept.get(id) ?? new Map<string, boolean>();
      this.#kept.set(id, list.set(name, isListed));
    }
    this.drop();
  }

  /** Discards the changes since the last {@link keep}. */
  drop(): void {
    this.#changes = [];
  }

  /** Returns the ids of the lists that change. */
  changed(): Iterable<string> {
    return this.#kept.keys();
  }

  /** Returns the names in a list after the commit. @param before the names in it now */
  after(id: string, before: readonly string[]): string[] {
    const names = new Set(before);
    for (const [name, isListed] of this.#kept.get(id) ?? []) {
      if (isListed) names.add(name);
      else names.delete(name);
    }
    return [...names];
  }
}

/** Returns the number of the commit that created a list. */
export function commitOf(id: string): number {
  return Number.parseInt(id);
}
