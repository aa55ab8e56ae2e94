import { SHARED_SPACE } from './records.ts';
import type { CredentialRecord } from './records.ts';

/** Most names in one list: it is written anew when one of them is removed. */
const NAMES_MAX = 64;

/** What one call puts into a list, or takes out of it. */
interface Listing {
  readonly id: string;
  readonly name: string;
  readonly isListed: boolean;
}

/**
 * The lists that the names of shared credentials are in, so that they can be named when their records are gone: there is no
 * list of all of them. Names that are stored for the first time in one commit are listed together.
 */
export class NameLists {
  readonly #commit: number;
  /** By the id of a list and a name, whether that is in it afterwards. */
  readonly #kept: Map<string, Map<string, boolean>> = new Map();
  #changes: Listing[] = [];
  /** Names that were given a list, those of calls that were dropped among them. */
  #given = 0;

  /** @param commit the number of the commit among those of the store */
  constructor(commit: number) {
    this.#commit = commit;
  }

  /** The credential with the list that has its name, or will have. */
  listed(record: CredentialRecord): CredentialRecord {
    if (record.space !== SHARED_SPACE || record.listed !== undefined) return record;
    const id = `${this.#commit}.${Math.floor(this.#given / NAMES_MAX)}`;
    this.#given += 1;
    this.#changes.push({ id, name: record.name, isListed: true });
    return { ...record, listed: id };
  }

  /** Takes a name out of a list. */
  remove(id: string, name: string): void {
    this.#changes.push({ id, name, isListed: false });
  }

  /** Keeps the changes since the last keep or drop. */
  keep(): void {
    for (const { id, name, isListed } of this.#changes) {
      const list = this.#kept.get(id) ?? new Map<string, boolean>();
      this.#kept.set(id, list.set(name, isListed));
    }
    this.drop();
  }

  /** Forgets the changes since the last keep. */
  drop(): void {
    this.#changes = [];
  }

  /** The ids of lists that are not what they were. */
  changed(): Iterable<string> {
    return this.#kept.keys();
  }

  /** The names in a list after what was kept. */
  after(id: string, before: readonly string[]): string[] {
    const names = new Set(before);
    for (const [name, isListed] of this.#kept.get(id) ?? []) {
      if (isListed) names.add(name);
      else names.delete(name);
    }
    return [...names];
  }
}

/** The number of the commit that made a list. */
export function commitOf(id: string): number {
  return Number.parseInt(id);
}
