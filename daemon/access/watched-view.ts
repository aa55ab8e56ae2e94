import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';

import { CredentialError } from '../../src/errors.ts';
import { WATCHED_PER_USER_MAX } from '../../src/limits.ts';
import type { Vanished, WatchOut, WatchedCredential, WatchedSet } from '../../src/protocol/interface.generated.ts';
import { membershipOf } from '../../src/sets.ts';
import { TimeSlice } from '../time-slice.ts';
import { countDamaged } from '../vault/reader.ts';
import type { VaultReader } from '../vault/reader.ts';
import { SHARED_SPACE, currentVersion } from '../vault/records.ts';
import type { CredentialRecord, PrincipalId, Space } from '../vault/records.ts';
import type { Unlocked, Vault } from '../vault/vault.ts';
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

/** Sets in one reply: each is made of all the fields that it could have. */
const SETS_BATCH = 25;

/** Changes that are told in one reply, however long it takes to look at them: all of most commits. */
const TOGETHER = 32;

/** Changes that wait to be told. Where there are more, everything is looked at again instead. */
const WAITING_MAX = 10_000;

/** Commits that follow each other this closely are told together. */
const GATHER_MS = 10;

/** Bytes of what is remembered of a set; six are the most that a number holds. */
const SUMMARY_BYTES = 6;

/** So that nobody can make up a change that would not show. */
const SUMMARY_KEY: Uint8Array = randomBytes(16);

/** What is watched. */
export interface WatchedScope {
  /** One owner's only. */
  readonly only: Space | undefined;
  /** Without patterns. */
  readonly isEverything: boolean;
  readonly matches: (record: CredentialRecord) => boolean;
}

/** What is said in one reply. */
export type Part = Omit<WatchOut, 'settled'>;

/**
 * What one watcher was told last, and where it may be different now. What he is told is always the difference between
 * the two: so a change is told once, and several before he listens are told as what came of them.
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
  /** What was open when it began. */
  readonly #of: Unlocked;
  /** By place: of a credential the generation, of a set a summary of all that was told. */
  readonly #told: Map<string, number> = new Map();
  /** Where to look, by key. */
  #credentials: Map<string, Place> = new Map();
  #sets: Map<string, Place> = new Map();
  #isAllStale = true;
  #failure: CredentialError | undefined;
  #wake: (() => void) | undefined;

  /** @throws CredentialError `Locked`; `TooLarge` where it is more than one user may watch */
  constructor(vault: Vault, hub: WatchHub, caller: Caller, scope: WatchedScope) {
    this.#vault = vault;
    this.#hub = hub;
    this.#caller = caller;
    this.uid = caller.uid;
    this.#scope = scope;
    this.#slice = new TimeSlice(vault.turns, caller.uid);
    this.#of = vault.unlocked();
    const { only } = scope;
    if (caller.isAdministrator) this.space = only ?? SHARED_SPACE;
    else this.space = only === undefined || only === caller.space ? caller.space : undefined;
    this.principals = caller.isAdministrator ? [] : caller.principals();
    if (scope.isEverything) this.#requireFew();
  }

  onCredential(place: Place): void {
    if (this.#isOutside(place.space)) return;
    this.#credentials.set(place.key, place);
    this.#changed();
  }

  onSet(place: Place): void {
    if (this.#isOutside(place.space)) return;
    this.#sets.set(place.key, place);
    this.#changed();
  }

  onEverything(): void {
    if (this.#vault.unlocked() !== this.#of) {
      // Another store's contents: the generations that were told are not theirs, and equal ones would say nothing.
      this.end(new CredentialError('Busy', {}));
      return;
    }
    this.#isAllStale = true;
    this.#changed();
  }

  onLocked(): void {
    this.end(new CredentialError('Locked', {}));
  }

  /** Whoever waits for the next change gets this instead. */
  end(failure: CredentialError): void {
    this.#failure ??= failure;
    this.#wake?.();
  }

  /**
   * Waits until there may be something to tell.
   *
   * @throws CredentialError `Locked`, or what ended it
   */
  async changes(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isWaiting) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    this.#wake = undefined;
    if (this.#failure === undefined) await pause(GATHER_MS);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * Everything that there is to tell now, in parts; each is as one commit left it. None where there is nothing.
   *
   * @throws CredentialError `Locked`; `TooLarge` where it is more than one user may watch
   */
  async *tell(): AsyncGenerator<Part> {
    while (this.#isWaiting) {
      if (this.#failure !== undefined) throw this.#failure;
      const part = this.#isAllStale ? yield* this.#tellAll() : newPart();
      await this.#slice.pause();
      if (!this.#isOvertaken(part)) this.#vault.read((reader) => this.#fill(reader, part));
      if (!isEmpty(part)) yield part;
    }
  }

  /** Tells whether something else is to be told of what it tells: of one thing, a part says one thing. */
  #isOvertaken({ credentials }: Part): boolean {
    return credentials.some(({ name, owner }) =>
      this.#credentials.has(placeOf('credential', spaceOfOwner(owner), name).key),
    );
  }

  /** To be called at the end. */
  forget(): void {
    this.#hub.remember(this.#caller.uid, -this.#told.size);
    this.#told.clear();
  }

  /** Said at once, and not after all of it was read. */
  #requireFew(): void {
    const { space } = this;
    const count = space === undefined ? 0 : this.#vault.read((reader) => reader.principal(space)?.count ?? 0);
    if (count > WATCHED_PER_USER_MAX) throw new CredentialError('TooLarge', { limit: WATCHED_PER_USER_MAX });
  }

  get #isWaiting(): boolean {
    return this.#isAllStale || this.#credentials.size > 0 || this.#sets.size > 0;
  }

  #isOutside(space: Space): boolean {
    return this.#scope.only !== undefined && this.#scope.only !== space;
  }

  #changed(): void {
    if (this.#credentials.size + this.#sets.size > WAITING_MAX) {
      this.#isAllStale = true;
      this.#credentials = new Map();
      this.#sets = new Map();
    }
    this.#wake?.();
  }

  /**
   * Goes through all credentials that the caller may see. Their sets, and what changes meanwhile, wait to be told then.
   *
   * @returns the last part, which has room
   */
  async *#tellAll(): AsyncGenerator<Part, FilledPart> {
    this.#isAllStale = false;
    const { only, matches } = this.#scope;
    const unseen = new Set(this.#told.keys());
    let part = newPart();
    const options = { only, isEveryone: false, count: { damaged: 0 } };
    for await (const record of visibleCredentials(this.#vault, this.#caller, options, this.#slice)) {
      await this.#slice.pause();
      const { space, name } = record;
      const set = membershipOf(name)?.set;
      if (set !== undefined) {
        const place = placeOf('set', space, set);
        this.#sets.set(place.key, place);
      }
      if (!matches(record)) continue;
      const place = placeOf('credential', space, name).key;
      unseen.delete(place);
      this.#tellCredential(part, place, record);
      if (part.credentials.length < BATCH) continue;
      yield part;
      part = newPart();
    }
    for (const key of unseen) {
      const [kind, space = '', name = ''] = key.split(' ');
      const places = kind === 'set' ? this.#sets : this.#credentials;
      places.set(key, { key, space: space as Space, name });
    }
    return part;
  }

  /**
   * Fills a part with what waits: the credentials first, so that whoever hears of a set has heard of what is in it. What takes
   * longer than a slice, for each may have to be matched against a hundred patterns, is left for the next part.
   */
  #fill(reader: VaultReader, part: FilledPart): void {
    let count = 0;
    const isEnough = (): boolean => (count += 1) >= TOGETHER && this.#slice.isOver;
    let room = BATCH - part.credentials.length;
    for (const [place, { space, name }] of this.#credentials) {
      if (room === 0) return;
      room -= 1;
      this.#credentials.delete(place);
      const record = this.#readable(reader, space, name);
      if (record !== undefined) this.#tellCredential(part, place, record);
      else this.#tellVanished(part, place, { kind: 'credential', name, owner: ownerOfSpace(space) });
      if (isEnough()) return;
    }
    let setsRoom = SETS_BATCH;
    for (const [place, { space, name }] of this.#sets) {
      if (setsRoom === 0) return;
      setsRoom -= 1;
      this.#sets.delete(place);
      const set = this.#describeSet(reader, space, name);
      if (set === undefined) this.#tellVanished(part, place, { kind: 'set', name, owner: ownerOfSpace(space) });
      else if (this.#remember(place, summaryOf(set))) part.sets.push(set);
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

  #tellCredential(part: FilledPart, place: string, record: CredentialRecord): void {
    const { version, generation } = currentVersion(record);
    if (!this.#remember(place, generation)) return;
    part.credentials.push({ name: record.name, owner: ownerOfSpace(record.space), version, generation });
  }

  #tellVanished(part: FilledPart, place: string, vanished: Vanished): void {
    if (!this.#told.delete(place)) return;
    this.#hub.remember(this.#caller.uid, -1);
    part.vanished.push(vanished);
  }

  /** @returns whether it is another than was told last */
  #remember(place: string, told: number): boolean {
    const before = this.#told.get(place);
    if (before === told) return false;
    this.#told.set(place, told);
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

/** How a set that is seen whole did when it was last tried as it is: of another one, what changes unseen would show. */
function healthOf(reader: VaultReader, { space, set, members }: SetView): WatchedSet['health'] {
  const record = reader.health(space, set);
  if (record === undefined) return 'unproved';
  const whole = countDamaged({ damaged: 0 }, () => wholeSet(reader, space, set));
  return whole?.size === members.size && whole.generation === record.generation ? record.state : 'unproved';
}

/** A part that is being made. */
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
