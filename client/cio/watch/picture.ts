import type { Vanished, WatchOut, WatchedCredential, WatchedSet } from '../../../src/protocol/interface.generated.ts';

/** One thing that is told: it is there to begin with, or new, or another than before, or not there any more. */
export type Told =
  | { readonly event: 'present' | 'new' | 'changed'; readonly kind: 'credential'; readonly item: WatchedCredential }
  | {
      readonly event: 'present' | 'new' | 'changed';
      readonly kind: 'set';
      readonly item: WatchedSet;
      /** As it was told before. */
      readonly before: WatchedSet | undefined;
    }
  | ({ readonly event: 'gone' } & Vanished);

/** A watcher's idea of what there is. */
export class Picture {
  readonly #credentials: Map<string, WatchedCredential> = new Map();
  readonly #sets: Map<string, WatchedSet> = new Map();

  /** Takes a reply over, and gives what it changed. */
  apply({ credentials, sets, vanished }: Omit<WatchOut, 'settled'>): Told[] {
    const told: Told[] = [];
    for (const item of credentials) {
      const event = replace(this.#credentials, placeOf(item.owner, item.name), item);
      if (event !== undefined) told.push({ event, kind: 'credential', item });
    }
    for (const item of sets) {
      const place = placeOf(item.owner, item.set);
      const before = this.#sets.get(place);
      const event = replace(this.#sets, place, item);
      if (event !== undefined) told.push({ event, kind: 'set', item, before });
    }
    for (const { kind, name, owner } of vanished) {
      const known = kind === 'set' ? this.#sets : this.#credentials;
      if (known.delete(placeOf(owner, name))) told.push({ event: 'gone', kind, name, owner });
    }
    return told;
  }

  /** Takes another picture over, made by somebody who began anew, and gives what is different in it. */
  become(other: Picture): Told[] {
    const vanished: Vanished[] = [
      ...[...this.#credentials]
        .filter(([place]) => !other.#credentials.has(place))
        .map(([, { name, owner }]) => ({ kind: 'credential' as const, name, owner })),
      ...[...this.#sets]
        .filter(([place]) => !other.#sets.has(place))
        .map(([, { set, owner }]) => ({ kind: 'set' as const, name: set, owner })),
    ];
    return this.apply({
      credentials: [...other.#credentials.values()],
      sets: [...other.#sets.values()],
      vanished,
    });
  }
}

function replace<Item extends object>(
  known: Map<string, Item>,
  place: string,
  item: Item,
): 'new' | 'changed' | undefined {
  const before = known.get(place);
  if (before !== undefined && JSON.stringify(before) === JSON.stringify(item)) return undefined;
  known.set(place, item);
  return before === undefined ? 'new' : 'changed';
}

function placeOf(owner: number, name: string): string {
  return `${owner}/${name}`;
}
