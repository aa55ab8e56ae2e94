import { membershipOf } from '../../src/sets.ts';
import type { VaultChange } from '../vault/change.ts';
import { setKey } from '../vault/records.ts';
import type { Space } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';

/** Most sets whose changes are remembered. Beyond it, the sets that have not changed for longest are forgotten. */
const CHANGED_MAX = 10_000;

/** The space and name of a set. */
export interface SetPlace {
  readonly space: Space;
  readonly set: string;
}

/**
 * Remembers which sets change, or are granted differently, while somebody iterates over the store. One record serves
 * all iterations: there may be a thousand, each for a client that reads as slowly as it likes.
 */
export class ChangedSets {
  /** The number of the last change of each set, in ascending order. */
  readonly #changed: Map<string, { readonly place: SetPlace; readonly at: number }> = new Map();
  #changes = 0;
  /** Up to this number, not every change is remembered. */
  #forgotten = 0;
  #readers = 0;

  constructor(vault: Pick<Vault, 'watch'>) {
    vault.watch((change) => {
      if (this.#readers > 0) this.#note(change);
    });
  }

  /** Begins an iteration. @returns the number of the last change; all later ones are remembered until {@link end} */
  begin(): number {
    this.#readers += 1;
    return this.#changes;
  }

  end(): void {
    this.#readers -= 1;
    if (this.#readers === 0) this.#changed.clear();
  }

  /** Tells whether every change since then is remembered. */
  isKnown(since: number): boolean {
    return since >= this.#forgotten;
  }

  hasChanged({ space, set }: SetPlace, since: number): boolean {
    return (this.#changed.get(setKey({ space, set }))?.at ?? 0) > since;
  }

  /** Returns the sets that have changed since then. */
  changed(since: number): readonly SetPlace[] {
    return [...this.#changed.values()].flatMap(({ place, at }) => (at > since ? place : []));
  }

  #note(change: VaultChange | undefined): void {
    this.#changes += 1;
    if (change === undefined) {
      this.#forgotten = this.#changes;
      this.#changed.clear();
      return;
    }
    const credentials = change.credentials.map(({ space, name }) => ({ space, set: membershipOf(name)?.set }));
    const grants = change.grants.map(({ grant: { space, kind, target } }) => ({
      space,
      set: kind === 'set' ? target : membershipOf(target)?.set,
    }));
    for (const { space, set } of [...credentials, ...grants]) {
      if (set === undefined) continue;
      const place = { space, set };
      const key = setKey(place);
      this.#changed.delete(key);
      this.#changed.set(key, { place, at: this.#changes });
    }
    for (const [key, { at }] of this.#changed) {
      if (this.#changed.size <= CHANGED_MAX) break;
      this.#changed.delete(key);
      this.#forgotten = at;
    }
  }
}
