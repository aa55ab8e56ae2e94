import type { Vanished, WatchOut, WatchedCredential, WatchedSet } from '../../../src/protocol/interface.generated.ts';

/** One event: a credential or set is present at the start, is new, has changed, or is gone. */
export type WatchEvent =
  | { readonly event: 'present' | 'new' | 'changed'; readonly kind: 'credential'; readonly item: WatchedCredential }
  | {
      readonly event: 'present' | 'new' | 'changed';
      readonly kind: 'set';
      readonly item: WatchedSet;
      /** The set as it was last reported. */
      readonly before: WatchedSet | undefined;
    }
  | ({ readonly event: 'gone' } & Vanished);

/** A watcher's copy of the credentials and sets that the daemon has reported to it. */
export class WatchState {
  readonly #credentials: Map<string, WatchedCredential> = new Map();
  readonly #sets: Map<string, WatchedSet> = new Map();

  /** Applies a reply, and returns what it changed. */
  apply({ credentials, sets, vanished }: Omit<WatchOut, 'settled'>): WatchEvent[] {
    const events: WatchEvent[] = [];
    for (const item of credentials) {
      const event = replace(this.#credentials, placeOf(item.owner, item.name), item);
      if (event !== undefined) events.push({ event, kind: 'credential', item });
    }
    for (const item of sets) {
      const place = placeOf(item.owner, item.set);
      const before = this.#sets.get(place);
      const event = replace(this.#sets, place, item);
      if (event !== undefined) events.push({ event, kind: 'set', item, before });
    }
    for (const { kind, name, owner } of vanished) {
      const known = kind === 'set' ? this.#sets : this.#credentials;
      if (known.delete(placeOf(owner, name))) events.push({ event: 'gone', kind, name, owner });
    }
    return events;
  }

  /** Takes over the contents of another state, made by a new watch, and returns the differences. */
  replaceWith(other: WatchState): WatchEvent[] {
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
