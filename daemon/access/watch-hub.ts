import { CredentialError } from '../../src/errors.ts';
import { WATCHED_PER_USER_MAX } from '../../src/limits.ts';
import { FIELD_IDS } from '../../src/providers/registry.ts';
import { memberName, membershipOf } from '../../src/sets.ts';
import type { VaultChange } from '../vault/change.ts';
import { setKey } from '../vault/records.ts';
import type { GrantEntry, PrincipalId, Space } from '../vault/records.ts';
import type { Vault } from '../vault/vault.ts';

/**
 * Most watchers of one user at a time: each is notified of a change in the same turn of the event loop as the commit,
 * while everybody else waits. Each unit that runs `exec --on-change` as root is a watcher of root's.
 */
export const WATCHERS_PER_USER_MAX = 128;

/**
 * A credential or a set. All watchers share one object per change: there may be many, and each remembers it by its key.
 */
export interface Place {
  readonly key: string;
  readonly space: Space;
  readonly name: string;
}

/** Makes a place. None of the three parts of its key contains a blank. */
export function placeOf(kind: 'credential' | 'set', space: Space, name: string): Place {
  return { key: `${kind} ${space} ${name}`, space, name };
}

/** Is notified of changes of what its caller may see, and of nothing else. A notification says only where to look. */
export interface Watcher {
  readonly uid: number;
  /** The space of which the caller sees everything. */
  readonly space: Space | undefined;
  /** The principals through whose grants the caller sees anything else. */
  readonly principals: readonly PrincipalId[];
  onCredential(place: Place): void;
  onSet(place: Place): void;
  /** Anything may have changed. */
  onEverything(): void;
  onLocked(): void;
}

/**
 * Notifies watchers of commits. Each watcher is notified only of what its caller may see, and the cost of a commit
 * depends only on the watchers that it concerns.
 */
export class WatchHub {
  readonly #vault: Vault;
  readonly #watchers: Set<Watcher> = new Set();
  readonly #byUid: Index<number> = new Index();
  readonly #bySpace: Index<Space> = new Index();
  readonly #byPrincipal: Index<PrincipalId> = new Index();
  /** How many places the watchers of each user remember. */
  readonly #rememberedPlaces: Map<number, number> = new Map();

  constructor(vault: Vault) {
    this.#vault = vault;
    vault.watch((change) => this.#onChange(change));
  }

  /**
   * Adds a watcher.
   *
   * @returns a function that removes it
   * @throws CredentialError `Busy` if its user has too many
   */
  add(watcher: Watcher): () => void {
    if (this.#byUid.get(watcher.uid).size >= WATCHERS_PER_USER_MAX) throw new CredentialError('Busy', {});
    this.#watchers.add(watcher);
    this.#byUid.add(watcher.uid, watcher);
    if (watcher.space !== undefined) this.#bySpace.add(watcher.space, watcher);
    for (const principal of watcher.principals) this.#byPrincipal.add(principal, watcher);
    return () => {
      this.#watchers.delete(watcher);
      this.#byUid.delete(watcher.uid, watcher);
      if (watcher.space !== undefined) this.#bySpace.delete(watcher.space, watcher);
      for (const principal of watcher.principals) this.#byPrincipal.delete(principal, watcher);
    };
  }

  /** Adds to the count of places that a user's watchers remember; false if there are too many now. */
  remember(uid: number, difference: number): boolean {
    const count = (this.#rememberedPlaces.get(uid) ?? 0) + difference;
    if (count === 0) this.#rememberedPlaces.delete(uid);
    else this.#rememberedPlaces.set(uid, count);
    return count <= WATCHED_PER_USER_MAX;
  }

  #onChange(change: VaultChange | undefined): void {
    if (this.#watchers.size === 0) return;
    if (this.#vault.isLocked) for (const watcher of this.#watchers) watcher.onLocked();
    else if (change === undefined) for (const watcher of this.#watchers) watcher.onEverything();
    else this.#notify(change);
  }

  #notify({ credentials, healths, grants }: VaultChange): void {
    const sets = new Map(healths.map((one) => [setKey(one), { space: one.space, set: one.set }]));
    for (const { space, name } of credentials) {
      const set = membershipOf(name)?.set;
      const place = placeOf('credential', space, name);
      for (const watcher of this.#watchersOf(space, [name], set)) watcher.onCredential(place);
      if (set !== undefined) sets.set(setKey({ space, set }), { space, set });
    }
    // Also tell watchers who may not see the changed field: a removal changes the generation of the set, which they
    // see.
    for (const { space, set } of sets.values()) {
      const names = FIELD_IDS.map((field) => memberName(set, field));
      const place = placeOf('set', space, set);
      for (const watcher of this.#watchersOf(space, names, set)) watcher.onSet(place);
    }
    for (const { principal, grant } of grants) {
      const watchers = this.#byPrincipal.get(principal);
      if (watchers.size > 0) notifyOfGrant(watchers, grant);
    }
  }

  #watchersOf(space: Space, names: readonly string[], set: string | undefined): Set<Watcher> {
    const watchers = new Set(this.#bySpace.get(space));
    if (this.#byPrincipal.isEmpty) return watchers;
    const grantees = this.#vault.read((reader) => [
      ...names.flatMap((name) => [...reader.grantees(space, 'name', name).keys()]),
      ...(set === undefined ? [] : reader.grantees(space, 'set', set).keys()),
    ]);
    for (const grantee of grantees) for (const watcher of this.#byPrincipal.get(grantee)) watchers.add(watcher);
    return watchers;
  }
}

function notifyOfGrant(watchers: ReadonlySet<Watcher>, { space, kind, target }: GrantEntry): void {
  const set = kind === 'set' ? target : membershipOf(target)?.set;
  const names = kind === 'set' ? FIELD_IDS.map((field) => memberName(target, field)) : [target];
  const credentials = names.map((name) => placeOf('credential', space, name));
  const setPlace = set === undefined ? undefined : placeOf('set', space, set);
  for (const watcher of watchers) {
    for (const place of credentials) watcher.onCredential(place);
    if (setPlace !== undefined) watcher.onSet(setPlace);
  }
}

/** An index of watchers. */
class Index<Key> {
  readonly #watchers: Map<Key, Set<Watcher>> = new Map();

  get isEmpty(): boolean {
    return this.#watchers.size === 0;
  }

  get(key: Key): ReadonlySet<Watcher> {
    return this.#watchers.get(key) ?? NO_WATCHERS;
  }

  add(key: Key, watcher: Watcher): void {
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(watcher));
  }

  delete(key: Key, watcher: Watcher): void {
    const watchers = this.#watchers.get(key);
    watchers?.delete(watcher);
    if (watchers?.size === 0) this.#watchers.delete(key);
  }
}

const NO_WATCHERS: ReadonlySet<Watcher> = new Set();
