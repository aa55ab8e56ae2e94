import type { WatchedSet } from '../../../src/protocol/interface.generated.ts';
import { canonicalSetName } from '../../../src/sets.ts';
import type { Told } from '../watch/picture.ts';

/** Follows the set that a name or UUID means to whoever asks: his own where there is one, else the shared one. */
export class SetFollower {
  readonly #name: string | undefined;
  readonly #uuid: string;
  readonly #known: Map<number, WatchedSet> = new Map();
  /** Which set it was when it was last complete: generations count by owner and by store, and UUIDs tell these apart. */
  #heard: string | undefined;

  constructor(set: string) {
    this.#name = canonicalSetName(set);
    this.#uuid = set.toLowerCase();
  }

  /** Whether the set can be used as it is now. */
  get isComplete(): boolean {
    return this.#meant()?.ready === true;
  }

  /** @returns whether the set is complete and another one than it was when it last was */
  hear(told: readonly Told[]): boolean {
    for (const each of told) {
      if (each.event === 'gone') {
        if (each.kind === 'set' && each.name === this.#name) this.#known.delete(each.owner);
      } else if (each.kind === 'set' && this.#isMeant(each.item)) {
        this.#known.set(each.item.owner, each.item);
      }
    }
    const meant = this.#meant();
    if (meant?.ready !== true) return false;
    const heard = `${meant.uuid} ${meant.generation}`;
    const isChanged = this.#heard !== heard;
    this.#heard = heard;
    return isChanged;
  }

  #isMeant({ set, uuid }: WatchedSet): boolean {
    return set === this.#name || uuid === this.#uuid;
  }

  /** The shared one comes last: 0 is the lowest of all owners. */
  #meant(): WatchedSet | undefined {
    return [...this.#known.values()].toSorted((a, b) => b.owner - a.owner)[0];
  }
}
