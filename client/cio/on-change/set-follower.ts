import type { WatchedSet } from '../../../src/protocol/interface.generated.ts';
import { canonicalSetName } from '../../../src/sets.ts';
import type { WatchEvent } from '../watch/watch-state.ts';

/** Follows the set that a name or UUID means to the caller: the caller's own if there is one, else the shared one. */
export class SetFollower {
  readonly #name: string | undefined;
  readonly #uuid: string;
  readonly #known: Map<number, WatchedSet> = new Map();
  /** UUID and generation of the set when it was last complete. Generations alone count per owner and per store. */
  #lastComplete: string | undefined;

  constructor(set: string) {
    this.#name = canonicalSetName(set);
    this.#uuid = set.toLowerCase();
  }

  /** Whether the set is complete at present. */
  get isComplete(): boolean {
    return this.#meant()?.ready === true;
  }

  /** @returns whether the set is complete, and differs from what it was when it was last complete */
  apply(events: readonly WatchEvent[]): boolean {
    for (const each of events) {
      if (each.event === 'gone') {
        if (each.kind === 'set' && each.name === this.#name) this.#known.delete(each.owner);
      } else if (each.kind === 'set' && this.#isMeant(each.item)) {
        this.#known.set(each.item.owner, each.item);
      }
    }
    const meant = this.#meant();
    if (meant?.ready !== true) return false;
    const complete = `${meant.uuid} ${meant.generation}`;
    const isChanged = this.#lastComplete !== complete;
    this.#lastComplete = complete;
    return isChanged;
  }

  #isMeant({ set, uuid }: WatchedSet): boolean {
    return set === this.#name || uuid === this.#uuid;
  }

  /** Returns the set with the highest owner: the shared one has owner 0, the lowest of all. */
  #meant(): WatchedSet | undefined {
    return [...this.#known.values()].toSorted((a, b) => b.owner - a.owner)[0];
  }
}
