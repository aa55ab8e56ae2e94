import { setImmediate as nextTurn } from 'node:timers/promises';

import { CredentialError } from '../../src/errors.ts';
import { KIND, StoreError, fixedTag } from '../store/sealed-store.ts';
import type { SealedReader, SealedStore, SealedTransaction } from '../store/sealed-store.ts';
import { Turns } from '../time-slice.ts';
import { changedGrants } from './change.ts';
import type { VaultChange } from './change.ts';
import { openDataKey } from './data-key.ts';
import { decodeHead } from './head.ts';
import type { Head } from './head.ts';
import { storeIdIn } from './new-store.ts';
import { readPrincipals } from './principals.ts';
import type { Principals } from './principals.ts';
import { Purger } from './purger.ts';
import type { PurgerEvents } from './purger.ts';
import { ReadCache } from './read-cache.ts';
import { OpeningReader } from './reader.ts';
import type { VaultReader } from './reader.ts';
import type { Sealing } from './sealing.ts';
import { SLOTS_READ_MAX, decodeSlot } from './slots.ts';
import type { SlotRecord } from './slots.ts';
import type { Sodium } from './sodium.ts';
import { toCredentialError } from './store-failures.ts';
import { VaultTransaction } from './transaction.ts';
import type { VaultWriter } from './transaction.ts';
import { WriteQueue } from './write-queue.ts';
import type { Committing } from './write-queue.ts';

/** What there is while the store is open. */
export interface Unlocked {
  readonly rootKey: Uint8Array;
  sealing: Sealing;
  /** Undefined where it is damaged: everything can be read then, and nothing written until it was repaired. */
  head: Head | undefined;
  /** The head as it lies in the store, which the next commit expects to find there. */
  headBody: Uint8Array | undefined;
  /** Changed in place by each commit. */
  principals: Principals;
  /** False where some are damaged: nothing is written then either, it would make new ones that know nothing of the old. */
  arePrincipalsWhole: boolean;
  /** Belongs to the sealing: a new one starts with an empty one. */
  cache: ReadCache;
  reader: VaultReader;
}

/** @param change undefined where anything may have changed: the store was locked, unlocked or repaired */
export type VaultWatcher = (change: VaultChange | undefined) => void;

/** Hears of what goes wrong and is nobody's who called. */
export interface VaultEvents extends PurgerEvents {
  /** A watcher failed by a defect of its own: all others were told, and whoever changed something was answered. */
  onWatcherFailed(error: unknown): void;
  /** The storage takes changes again, after it failed to. */
  onCommitsAgain(): void;
}

/**
 * The store with its keys, or without them while it is locked.
 *
 * Reads are immediate. Writes that are asked for in one turn of the event loop are committed together at its end, each
 * as one generation and each on its own right: one that is refused takes none of the others with it.
 */
export class Vault {
  /** Long readings of this vault take turns. */
  readonly turns: Turns = new Turns();
  readonly #store: SealedStore;
  readonly #sodium: Sodium;
  readonly #queue: WriteQueue;
  readonly #purger: Purger;
  readonly #events: VaultEvents;
  /** Undefined where it is to be read anew. */
  #storeId: Uint8Array | undefined;
  #unlocked: Unlocked | undefined;
  readonly #watchers: Set<VaultWatcher> = new Set();
  #exclusive: Promise<unknown> | undefined;
  #isClosing = false;
  #areCommitsFailing = false;

  /** @throws CredentialError `Damaged` where the store has no id */
  constructor(store: SealedStore, sodium: Sodium, events: VaultEvents) {
    this.#store = store;
    this.#sodium = sodium;
    this.#queue = new WriteQueue(() => this.#beginCommit());
    this.#purger = new Purger(store, events);
    this.#events = events;
    this.#storeId = storeIdIn(store);
  }

  get isLocked(): boolean {
    return this.#unlocked === undefined;
  }

  /** Tells whether work is under way during which nothing else is written. */
  get isExclusive(): boolean {
    return this.#exclusive !== undefined;
  }

  /** Whether the storage did not take the last change. */
  get areCommitsFailing(): boolean {
    return this.#areCommitsFailing;
  }

  /** 16 bytes, in clear in the file; others after a {@link replace}. */
  get storeId(): Uint8Array {
    return (this.#storeId ??= storeIdIn(this.#store));
  }

  /** The slots of the store, readable while it is locked. Ones that cannot be read are left out. */
  slots(): SlotRecord[] {
    return this.#store
      .list(KIND.slot, undefined, SLOTS_READ_MAX)
      .flatMap(({ tag, body }) => decodeSlot(tag, body) ?? []);
  }

  /**
   * Opens the store with its root key, a key of `Sodium`'s that becomes the vault's own: {@link lock} releases it.
   *
   * @throws CredentialError `Damaged` where the data key does not open
   */
  unlock(rootKey: Uint8Array): void {
    if (this.#unlocked !== undefined) {
      this.#sodium.release(rootKey);
      return;
    }
    let sealing: Sealing | undefined;
    try {
      sealing = openDataKey(this.#sodium, this.#store, this.storeId, rootKey);
      if (sealing === undefined) throw new CredentialError('Damaged', {});
      const { principals, arePrincipalsWhole } = readPrincipals(this.#store, sealing);
      const headBody = this.#store.get(KIND.head, fixedTag('head'));
      const headText = headBody && sealing.open(KIND.head, fixedTag('head'), headBody);
      const head = headText && decodeHead(headText);
      const cache = new ReadCache(sealing.masked);
      const reader = new OpeningReader(this.#store, sealing, principals, cache);
      this.#unlocked = { rootKey, sealing, head, headBody, principals, arePrincipalsWhole, cache, reader };
    } catch (error) {
      sealing?.wipe();
      this.#sodium.release(rootKey);
      throw toCredentialError(error);
    }
    // A daemon that was killed may have left what was deleted in the journal; and of a journal whose sync failed, what is
    // read need not be on the disk. It is moved before anything is written behind it, where the disk takes it.
    this.#purger.nowUnlessHeld(0);
    this.#tellWatchers(undefined);
  }

  /** Wipes the keys, after what was asked before: exclusive work is finished, and writes that wait are committed. */
  async lock(): Promise<void> {
    while (this.#exclusive !== undefined) await this.#exclusive;
    this.#queue.flush(true);
    this.#forgetKeys();
    this.#tellWatchers(undefined);
  }

  /**
   * Calls back, without waiting, whenever something was committed and when the store is locked or unlocked.
   *
   * @returns what ends it
   */
  watch(watcher: VaultWatcher): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** @throws CredentialError `Locked`, and what `work` throws */
  read<T>(work: (reader: VaultReader) => T): T {
    const { reader } = this.unlocked();
    try {
      return work(reader);
    } catch (error) {
      throw toCredentialError(error);
    }
  }

  /**
   * Runs `work` with the other writes of this turn of the event loop, and answers when all of them are on the disk.
   * What it throws drops its own changes only.
   *
   * @param uid for whom: users take turns, and each one's writes keep their order; left out where it is for the daemon itself
   * @throws CredentialError `Locked`, or why the commit failed (none of its changes was made then), and what `work` throws
   */
  write<T>(work: (writer: VaultWriter) => T, uid?: number): Promise<T> {
    return this.#queue.add(work, uid);
  }

  /**
   * Runs `work` while nothing else is written: what of the writes before it would take long comes after it. Reads go on
   * meanwhile, and see what was committed last.
   *
   * @param work changes the vault's state by itself, when it has committed
   * @throws CredentialError `Locked`; `Busy` where the vault was to be closed before its turn came; and what `work` throws
   */
  async exclusive<T>(work: (state: Unlocked, store: SealedStore) => Promise<T>): Promise<T> {
    while (this.#exclusive !== undefined) await this.#exclusive;
    if (this.#isClosing) throw new CredentialError('Busy', {});
    this.#queue.flush();
    const state = this.unlocked();
    const { headBody, sealing } = state;
    const running = this.#runAlone(work, state);
    this.#begin(running);
    try {
      const result = await running;
      // A new data key alone changes nothing that anybody sees.
      if (state.headBody !== headBody && state.sealing === sealing) this.#tellWatchers(undefined);
      return result;
    } catch (error) {
      this.#purgeAfter(error);
      throw toCredentialError(error);
    } finally {
      this.#end();
    }
  }

  /**
   * Takes other contents for those of the store, which may be locked, and opens them. No write is done meanwhile; reads
   * go on and see what was there before, up to the moment in which everything is another.
   *
   * @param rootKey opens the new contents; a key of `Sodium`'s that becomes the vault's own
   * @param prepare begins the transaction that puts them there, and leaves it open
   * @throws CredentialError where nothing was changed; where only the new contents could not be opened, it is locked
   */
  async replace(rootKey: Uint8Array, prepare: (store: SealedStore) => Promise<SealedTransaction>): Promise<void> {
    while (this.#exclusive !== undefined) await this.#exclusive;
    if (this.#isClosing) {
      this.#sodium.release(rootKey);
      throw new CredentialError('Busy', {});
    }
    this.#queue.flush(true);
    const replacing = this.#replaceAll(rootKey, prepare);
    this.#begin(replacing);
    try {
      await replacing;
    } catch (error) {
      // Whoever waits for something of the old contents waits in vain.
      if (this.#unlocked === undefined) this.#tellWatchers(undefined);
      this.#purgeAfter(error);
      throw toCredentialError(error);
    } finally {
      this.#end();
    }
  }

  async #replaceAll(rootKey: Uint8Array, prepare: (store: SealedStore) => Promise<SealedTransaction>): Promise<void> {
    let isTaken = false;
    try {
      const transaction = await prepare(this.#store);
      transaction.commit(true);
      // From here on nobody may read with the keys and the records in memory that were those of the old contents.
      this.#forgetKeys();
      this.#storeId = undefined;
      isTaken = true;
      this.unlock(rootKey);
    } catch (error) {
      if (!isTaken) this.#sodium.release(rootKey);
      throw error;
    }
    await this.#purgeNext();
  }

  /**
   * Lets `work` read all that was committed last, while commits go on; what they delete is not purged before it has ended.
   *
   * @param work asks now and then whether it has held that up for too long
   * @throws CredentialError, and what `work` throws
   */
  async readSnapshot<T>(work: (snapshot: SealedReader, isInTheWay: () => boolean) => Promise<T>): Promise<T> {
    try {
      const snapshot = this.#store.openSnapshot();
      this.#purger.hold();
      try {
        return await work(snapshot, () => this.#purger.isOverdue);
      } finally {
        snapshot.close();
        this.#purger.release();
      }
    } catch (error) {
      throw toCredentialError(error);
    }
  }

  /** Bytes of a copy of the store, more or less. @throws CredentialError */
  copyBytes(): number {
    try {
      return this.#store.copyBytes();
    } catch (error) {
      throw toCredentialError(error);
    }
  }

  /** Makes a file of what was committed last; it needs no key. @throws CredentialError */
  async copyTo(path: string): Promise<void> {
    this.#purger.hold();
    try {
      await this.#store.copyTo(path);
    } catch (error) {
      throw toCredentialError(error);
    } finally {
      this.#purger.release();
    }
  }

  /** @throws CredentialError `Locked` */
  unlocked(): Unlocked {
    if (this.#unlocked === undefined) throw new CredentialError('Locked', {});
    return this.#unlocked;
  }

  /** Commits what waits, and closes the file. Exclusive work that waits for its turn is not begun. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.lock();
    this.#purger.now();
    this.#purger.stop();
    this.#store.close();
  }

  /** Until {@link #end}, nothing but this work commits or purges. */
  #begin(work: Promise<unknown>): void {
    this.#exclusive = work.then(ignore, ignore);
    this.#purger.hold();
    this.#queue.hold();
  }

  #end(): void {
    this.#exclusive = undefined;
    this.#purger.release();
    this.#queue.release();
  }

  async #runAlone<T>(work: (state: Unlocked, store: SealedStore) => Promise<T>, state: Unlocked): Promise<T> {
    const { headBody } = state;
    const result = await work(state, this.#store);
    if (state.headBody !== headBody) await this.#purgeNext();
    return result;
  }

  /** After a large commit: it and the purge each go through all of it in one call, and others have a turn in between. */
  async #purgeNext(): Promise<void> {
    await nextTurn();
    this.#purger.nowUnlessHeld(1);
  }

  /**
   * Takes out of the journal what a commit left there that failed: SQLite writes over it with the next one, but a process
   * that starts before that would take it for committed, whether it is on the disk or not. A journal that is moved to the
   * file may also make room.
   */
  #purgeAfter(error: unknown): void {
    if (error instanceof StoreError && (error.failure === 'io' || error.failure === 'full')) this.#purger.soon();
  }

  #forgetKeys(): void {
    this.#sodium.release(this.#unlocked?.rootKey);
    this.#unlocked?.sealing.wipe();
    this.#unlocked = undefined;
  }

  #beginCommit(): Committing | undefined {
    const state = this.#unlocked;
    if (state === undefined) return undefined;
    const transaction = new VaultTransaction(this.#store, state.sealing, state.principals, state.head?.commits ?? 0);
    const commit = (): void => {
      let change: VaultChange;
      try {
        change = this.#commit(state, transaction);
      } catch (error) {
        this.#areCommitsFailing ||= error instanceof StoreError;
        this.#purgeAfter(error);
        throw error;
      }
      if (this.#areCommitsFailing) this.#events.onCommitsAgain();
      this.#areCommitsFailing = false;
      this.#tellWatchers(change);
    };
    return { transaction, commit };
  }

  #commit(state: Unlocked, transaction: VaultTransaction): VaultChange {
    const { head, headBody, arePrincipalsWhole } = state;
    if (head === undefined || headBody === undefined || !arePrincipalsWhole) throw new CredentialError('Damaged', {});
    const committed = transaction.commit(head, headBody);
    state.head = committed.head;
    state.headBody = committed.headBody;
    const grants = changedGrants(state.principals, committed.principals);
    state.principals.follow(committed.principals);
    state.cache.forget(committed.changed);
    if (committed.hasDeletes) this.#purger.soon();
    else this.#purger.later();
    return { credentials: committed.changed, healths: committed.healths, grants };
  }

  /** What they hear of has happened, and none of them can make it a failure. */
  #tellWatchers(change: VaultChange | undefined): void {
    for (const watcher of this.#watchers) {
      try {
        watcher(change);
      } catch (error) {
        this.#events.onWatcherFailed(error);
      }
    }
  }
}

function ignore(): void {
  // The work's own caller hears of its failure.
}
