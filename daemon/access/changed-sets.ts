import { membershipOf } from '../../src/sets.ts';
import type { VaultChange } from '../vault/change.ts';
import { setKey } from '../vault/records.ts';
import type { Space } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';

/** Sets whose changes are remembered. Where there are more, those are forgotten that changed first. */
const CHANGED_MAX = 10_000;

/** A set by its place. */
export interface SetPlace {
  readonly space: Space;
  readonly set: string;
}

/**
 * The sets that change, or of which somebody may read another part, while somebody goes through the store. They are
 * remembered once for all who do: there may be a thousand, each of whom takes what he is given as slowly as he likes.
 */
export class ChangedSets {
  /** Which change of the store was the last one of each, in that order. */
  readonly #changed: Map<string, { readonly place: SetPlace; readonly at: number }> = new Map();
  #changes = 0;
  /** Of what changed up to then, not everything is remembered. */
  #forgotten = 0;
  #readers = 0;

  constructor(vault: Pick<Vault, 'watch'>) {
    vault.watch((change) => {
      if (this.#readers > 0) this.#note(change);
    });
  }

  /** @returns from when on changes are remembered, until {@link end} */
  begin(): number {
    this.#readers += 1;
    return this.#changes;
  }

  end(): void {
    this.#readers -= 1;
    if (this.#readers === 0) this.#changed.clear();
  }

  /** Tells whether all is remembered that changed since. */
  isKnown(since: number): boolean {
    return since >= this.#forgotten;
  }

  hasChanged({ space, set }: SetPlace, since: number): boolean {
    return (this.#changed.get(setKey({ space, set }))?.at ?? 0) > since;
  }

  /** Those that changed since. */
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
