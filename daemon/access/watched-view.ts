import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { CredentialError } from '../../src/errors.ts';
import { WATCHED_PER_USER_MAX } from '../../src/limits.ts';
import type { Vanished, WatchOut, WatchedCredential, WatchedSet } from '../../src/protocol/interface.generated.ts';
import { membershipOf } from '../../src/sets.ts';
import { Emitter } from '../emitter.ts';
import { TimeSlice } from '../time-slice.ts';
import type { LongRead } from '../time-slice.ts';
import { countDamaged } from '../vault/reader.ts';
import type { VaultReader } from '../vault/reader.ts';
import { SHARED_SPACE, currentVersion } from '../vault/records.ts';
import type { CredentialRecord, PrincipalId, Space } from '../vault/records.ts';
import type { Unlocked } from '../vault/unlocked.ts';
import type { Vault } from '../vault/vault.ts';
import type { Caller } from './caller.ts';
import { mayRead, ownerOfSpace, spaceOfOwner } from './rules.ts';
import { viewSet, wholeSet } from './set-view.ts';
import type { SetView } from './set-view.ts';
import { uuidOfSet } from './set-uuid.ts';
import { visibleCredentials } from './visible.ts';
import { placeOf } from './watch-hub.ts';
import type { Place, WatchHub, Watcher } from './watch-hub.ts';

/** Credentials in one reply. */
const BATCH = 250;

/** Sets in one reply: for each, all fields that it could have are looked up. */
const SETS_BATCH = 25;

/** So many changes are one reply, however long it takes to read them: most commits have no more. */
const CHANGES_PER_REPLY_MIN = 32;

/** Most changes that wait to be reported. If there are more, everything is read again instead. */
const PENDING_MAX = 10_000;

/** Commits that follow each other this closely are reported together. */
const COALESCE_MS = 10;

/** Bytes of the hash that is remembered of a set; a number holds six at most. */
const SUMMARY_BYTES = 6;

/** Key of that hash, so that nobody can construct a change that leaves it the same. */
const SUMMARY_KEY: Uint8Array = randomBytes(16);

/** What is watched. */
export interface WatchedScope {
  /** Only the credentials of this space; undefined for no such limit. */
  readonly only: Space | undefined;
  /** There are no patterns. */
  readonly isEverything: boolean;
  readonly matches: (record: CredentialRecord) => boolean;
}

/** The contents of one reply. */
export type Part = Omit<WatchOut, 'settled'>;

/**
 * The state that was last reported to one watcher, and where the store may differ from it now. Each reply is the
 * difference between the two, so a change is reported once, and several changes before the client reads are reported as
 * their outcome.
 */
export class WatchedView implements Watcher {
  readonly uid: number;
  readonly space: Space | undefined;
  readonly principals: readonly PrincipalId[];
  readonly #vault: Vault;
  readonly #hub: WatchHub;
  readonly #caller: Caller;
  readonly #scope: WatchedScope;
  readonly #slice: TimeSlice;
  /** The unlocked store when the watch began. */
  readonly #unlocked: Unlocked;
  /** By key of the place: the generation of a credential, a hash of all that was reported of a set. */
  readonly #reported: Map<string, number> = new Map();
  /** The places to look at, by key. */
  #credentials: Map<string, Place> = new Map();
  #sets: Map<string, Place> = new Map();
  #isAllStale = true;
  #failure: CredentialError | undefined;
  readonly #ended: Emitter = new Emitter();
  #wake: (() => void) | undefined;

  /** @throws CredentialError `Locked`; `TooLarge` if it is more than one user may watch */
  constructor(vault: Vault, hub: WatchHub, caller: Caller, scope: WatchedScope) {
    this.#vault = vault;
    this.#hub = hub;
    this.#caller = caller;
    this.uid = caller.uid;
    this.#scope = scope;
    this.#slice = new TimeSlice(vault.turns, caller.uid);
    this.#unlocked = vault.unlocked();
    const { only } = scope;
    if (caller.isAdministrator) this.space = only ?? SHARED_SPACE;
    else this.space = only === undefined || only === caller.space ? caller.space : undefined;
    this.principals = caller.isAdministrator ? [] : caller.principals();
    if (scope.isEverything) this.#requireWithinLimit();
  }

  onCredential(place: Place): void {
    if (!this.#isNoted(place)) return;
    this.#credentials.set(place.key, place);
    this.#onChanged();
  }

  onSet(place: Place): void {
    if (!this.#isNoted(place)) return;
    this.#sets.set(place.key, place);
    this.#onChanged();
  }

  onEverything(): void {
    if (this.#vault.unlocked() !== this.#unlocked) {
      // The contents are now another store's: generations equal to those reported do not mean that nothing changed.
      this.end(new CredentialError('Busy', {}));
      return;
    }
    this.#isAllStale = true;
    this.#onChanged();
  }

  onLocked(): void {
    this.end(new CredentialError('Locked', {}));
  }

  /** Ends the watch: a caller that waits for the next change gets this error instead. */
  end(failure: CredentialError): void {
    this.#failure ??= failure;
    this.#ended.fire();
    this.#wake?.();
  }

  /**
   * Waits until there may be something to report.
   *
   * @throws CredentialError `Locked`, or the error that {@link end} was given
   */
  async waitForChange(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#hasPending) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
    if (this.#failure === undefined) await pause(COALESCE_MS);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Yields everything that there is to report now, in parts, each of them as one commit left it; none if nothing
   * changed. If it is everything, nothing is read until the watch has a place among the user's, which it keeps until
   * nothing is left to report.
   *
   * @throws CredentialError `Locked`, or the error that {@link end} was given; `TooLarge` if it is more than one user may
   *   watch
   */
  async *pendingParts(): AsyncGenerator<Part> {
    try {
      yield* this.#pendingParts();
    } catch (error) {
      throw this.#failure ?? error;
    }
  }

  async *#pendingParts(): AsyncGenerator<Part> {
    using place = new DisposableStack();
    let read: LongRead | undefined;
    while (this.#hasPending) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isAllStale) read ??= place.use(await this.#vault.watches.begin(this.uid, this.#ended.subscribe));
      const part = read !== undefined && this.#isAllStale ? yield* this.#reportAll(read) : newPart();
      // The slice of the read, if there is one: if it were not continued, the client would be taken for one that does
      // not read.
      const slice = read ?? this.#slice;
      await slice.pause();
      if (!this.#isOvertaken(part)) this.#vault.read((reader) => this.#fill(reader, part, slice));
      if (!isEmpty(part)) yield part;
    }
  }

  /** Tells whether a credential of the part has changed again: a part reports each credential only once. */
  #isOvertaken({ credentials }: Part): boolean {
    return credentials.some(({ name, owner }) =>
      this.#credentials.has(placeOf('credential', spaceOfOwner(owner), name).key),
    );
  }

  /** Gives back the places that the watcher remembers. To be called at its end. */
  release(): void {
    this.#hub.remember(this.#caller.uid, -this.#reported.size);
    this.#reported.clear();
  }

  /** Refuses a watch of too much at once, and not after all of it was read. */
  #requireWithinLimit(): void {
    const { space } = this;
    const count = space === undefined ? 0 : this.#vault.read((reader) => reader.principal(space)?.count ?? 0);
    if (count > WATCHED_PER_USER_MAX) throw new CredentialError('TooLarge', { limit: WATCHED_PER_USER_MAX });
  }

  get #hasPending(): boolean {
    return this.#isAllStale || this.#credentials.size > 0 || this.#sets.size > 0;
  }

  /** Tells whether a change is remembered: not if everything will be looked at anyway. */
  #isNoted({ space }: Place): boolean {
    return !this.#isAllStale && (this.#scope.only === undefined || this.#scope.only === space);
  }

  #onChanged(): void {
    if (this.#credentials.size + this.#sets.size > PENDING_MAX) {
      this.#isAllStale = true;
      this.#credentials = new Map();
      this.#sets = new Map();
    }
    this.#wake?.();
  }

  /**
   * Reports all credentials that the caller may see. Their sets, and what changes or vanishes meanwhile, are queued.
   *
   * @returns the last part, which has room left
   */
  async *#reportAll(slice: TimeSlice): AsyncGenerator<Part, FilledPart> {
    await slice.pause();
    this.#isAllStale = false;
    const { only, matches } = this.#scope;
    const unseen = new Set(this.#reported.keys());
    let part = newPart();
    const options = { only, isEveryone: false, count: { damaged: 0 } };
    for await (const record of visibleCredentials(this.#vault, this.#caller, options, slice)) {
      await slice.pause();
      const { space, name } = record;
      const set = membershipOf(name)?.set;
      if (set !== undefined) {
        const place = placeOf('set', space, set);
        this.#sets.set(place.key, place);
      }
      if (!matches(record)) continue;
      const place = placeOf('credential', space, name).key;
      unseen.delete(place);
      this.#reportCredential(part, place, record);
      if (part.credentials.length < BATCH) continue;
      yield part;
      part = newPart();
    }
    for (const key of unseen) {
      await slice.pause();
      const [kind, space = '', name = ''] = key.split(' ');
      const places = kind === 'set' ? this.#sets : this.#credentials;
      places.set(key, { key, space: space as Space, name });
    }
    return part;
  }

  /**
   * Fills a part with what is queued: credentials first, so that the client hears of a set after its credentials. If much
   * is queued, stops when the time slice is used up, as each credential may have to be matched against a hundred
   * patterns, and each field of a set is looked up; the rest goes into the next part.
   */
  #fill(reader: VaultReader, part: FilledPart, slice: TimeSlice): void {
    const isLittle = this.#credentials.size + this.#sets.size <= CHANGES_PER_REPLY_MIN;
    const isEnough = (): boolean => !isLittle && slice.isOver;
    let room = BATCH - part.credentials.length;
    for (const [place, { space, name }] of this.#credentials) {
      if (room === 0) return;
      room -= 1;
      this.#credentials.delete(place);
      const record = this.#readable(reader, space, name);
      if (record !== undefined) this.#reportCredential(part, place, record);
      else this.#reportVanished(part, place, { kind: 'credential', name, owner: ownerOfSpace(space) });
      if (isEnough()) return;
    }
    let setsRoom = SETS_BATCH;
    for (const [place, { space, name }] of this.#sets) {
      if (setsRoom === 0) return;
      setsRoom -= 1;
      this.#sets.delete(place);
      const set = this.#describeSet(reader, space, name);
      if (set === undefined) this.#reportVanished(part, place, { kind: 'set', name, owner: ownerOfSpace(space) });
      else if (this.#noteReported(place, summaryOf(set))) part.sets.push(set);
      if (isEnough()) return;
    }
  }

  #readable(reader: VaultReader, space: Space, name: string): CredentialRecord | undefined {
    if (!mayRead(this.#caller, reader, space, name)) return undefined;
    const record = countDamaged({ damaged: 0 }, () => reader.credential(space, name));
    return record !== undefined && this.#scope.matches(record) ? record : undefined;
  }

  #describeSet(reader: VaultReader, space: Space, name: string): WatchedSet | undefined {
    const view = countDamaged({ damaged: 0 }, () => viewSet(this.#caller, reader, space, name));
    if (view === undefined || ![...view.members.values()].some(this.#scope.matches)) return undefined;
    const { set, missing, generation, members } = view;
    return {
      set,
      uuid: uuidOfSet(this.#vault.storeId, space, set),
      owner: ownerOfSpace(space),
      ready: missing.length === 0,
      missing,
      generation,
      health: healthOf(reader, view),
      reloadUnits: members.has('reload_units'),
    };
  }

  #reportCredential(part: FilledPart, place: string, record: CredentialRecord): void {
    const { version, generation } = currentVersion(record);
    if (!this.#noteReported(place, generation)) return;
    part.credentials.push({ name: record.name, owner: ownerOfSpace(record.space), version, generation });
  }

  #reportVanished(part: FilledPart, place: string, vanished: Vanished): void {
    if (!this.#reported.delete(place)) return;
    this.#hub.remember(this.#caller.uid, -1);
    part.vanished.push(vanished);
  }

  /** @returns whether it differs from what was last reported */
  #noteReported(place: string, reported: number): boolean {
    const before = this.#reported.get(place);
    if (before === reported) return false;
    this.#reported.set(place, reported);
    if (before === undefined && !this.#hub.remember(this.#caller.uid, 1)) {
      throw new CredentialError('TooLarge', { limit: WATCHED_PER_USER_MAX });
    }
    return true;
  }
}

function summaryOf(set: WatchedSet): number {
  const hash = createHash('sha256').update(SUMMARY_KEY).update(JSON.stringify(set));
  return hash.digest().readUIntBE(0, SUMMARY_BYTES);
}

/**
 * Returns the kept result of the validation of a set; `unproved` if the set has changed since. It is `unproved` as well
 * if the caller does not see the whole set: the result would reveal changes of fields that the caller may not see.
 */
function healthOf(reader: VaultReader, { space, set, members }: SetView): WatchedSet['health'] {
  const record = reader.health(space, set);
  if (record === undefined) return 'unproved';
  const whole = countDamaged({ damaged: 0 }, () => wholeSet(reader, space, set));
  return whole?.size === members.size && whole.generation === record.generation ? record.state : 'unproved';
}

/** A part that is being filled. */
interface FilledPart {
  readonly credentials: WatchedCredential[];
  readonly sets: WatchedSet[];
  readonly vanished: Vanished[];
}

function newPart(): FilledPart {
  return { credentials: [], sets: [], vanished: [] };
}

function isEmpty({ credentials, sets, vanished }: Part): boolean {
  return credentials.length === 0 && sets.length === 0 && vanished.length === 0;
}
