import { setImmediate as nextTurn } from 'node:timers/promises';

import { CredentialError } from '../../src/errors.ts';
import { KIND, StoreError } from '../store/sealed-store.ts';
import type { SealedReader, SealedStore, SealedTransaction } from '../store/sealed-store.ts';
import { FairScheduler, LongReads } from '../time-slice.ts';
import type { VaultChange } from './change.ts';
import { storeIdIn } from './new-store.ts';
import { Purger } from './purger.ts';
import type { PurgerEvents } from './purger.ts';
import { OpeningReader } from './reader.ts';
import type { VaultReader } from './reader.ts';
import { SLOTS_READ_MAX, decodeSlot } from './slots.ts';
import type { SlotRecord } from './slots.ts';
import type { Sodium } from './sodium.ts';
import { toCredentialError } from './store-failures.ts';
import { VaultTransaction } from './transaction.ts';
import type { VaultWriter } from './transaction.ts';
import { follow, openStore } from './unlocked.ts';
import type { Unlocked } from './unlocked.ts';
import { WriteQueue } from './write-queue.ts';
import type { PendingCommit } from './write-queue.ts';

/** @param change undefined if anything may have changed: the store was locked, unlocked or repaired */
export type VaultWatcher = (change: VaultChange | undefined) => void;

/** Callbacks for events that are not the result of one caller's request. */
export interface VaultEvents extends PurgerEvents {
  /**
   * A watcher threw, which is a defect. All other watchers were told, and the caller that made the change is answered.
   */
  onWatcherFailed(error: unknown): void;
  /** A commit succeeded after commits had failed. */
  onCommitsAgain(): void;
}

/**
 * The store together with its keys; without them while it is locked.
 *
 * Reads are immediate. Writes requested in one turn of the event loop are committed together at its end. Each is one
 * generation and independent of the others: if one is refused, the others are committed all the same.
 */
export class Vault {
  /** Shares the event loop between long-running reads of this vault. */
  readonly turns: FairScheduler = new FairScheduler();
  /** Lists, which keep their places while their clients read. */
  readonly lists: LongReads = new LongReads(this.turns);
  /** Watches that report everything, apart from the lists: a client may list while it watches. */
  readonly watches: LongReads = new LongReads(this.turns);
  /** Searches for UUIDs, which have places of their own: a client may search while it reads a list. */
  readonly searches: LongReads = new LongReads(this.turns);
  readonly #store: SealedStore;
  readonly #sodium: Sodium;
  readonly #queue: WriteQueue;
  readonly #purger: Purger;
  readonly #events: VaultEvents;
  /** Undefined if it has to be read from the store again. */
  #storeId: Uint8Array | undefined;
  #unlocked: Unlocked | undefined;
  readonly #watchers: Set<VaultWatcher> = new Set();
  #exclusive: Promise<unknown> | undefined;
  #isClosing = false;
  #areCommitsFailing = false;

  /** @throws CredentialError `Damaged` if the store has no id */
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

  /** Whether exclusive work is running, during which no other writes are committed. */
  get isExclusive(): boolean {
    return this.#exclusive !== undefined;
  }

  /** Whether the storage refused the last commit. */
  get areCommitsFailing(): boolean {
    return this.#areCommitsFailing;
  }

  /** 16 bytes, stored in clear in the file; may change with {@link replace}. */
  get storeId(): Uint8Array {
    return (this.#storeId ??= storeIdIn(this.#store));
  }

  /** Returns the unlock slots, also while the store is locked. Unreadable ones are left out. */
  slots(): SlotRecord[] {
    return this.#store
      .list(KIND.slot, undefined, SLOTS_READ_MAX)
      .flatMap(({ tag, body }) => decodeSlot(tag, body) ?? []);
  }

  /**
   * Unlocks the store with its root key, a key allocated by `Sodium`. The vault takes ownership; {@link lock} releases
   * it.
   *
   * @throws CredentialError `Damaged` if the data key cannot be decrypted
   */
  unlock(rootKey: Uint8Array): void {
    if (this.#unlocked !== undefined) {
      this.#sodium.release(rootKey);
      return;
    }
    try {
      this.#unlocked = openStore(this.#sodium, this.#store, this.storeId, rootKey);
    } catch (error) {
      this.#sodium.release(rootKey);
      throw toCredentialError(error);
    }
    // A daemon that was killed may have left deleted records in the WAL. And if a sync of the WAL failed, its contents
    // can be read but need not be on the disk. So run a checkpoint before anything is appended to the WAL, if the disk
    // allows.
    this.#purger.nowUnlessHeld(0);
    this.#tellWatchers(undefined);
  }

  /** Wipes the keys, once running exclusive work has finished and queued writes are committed. */
  async lock(): Promise<void> {
    while (this.#exclusive !== undefined) await this.#exclusive;
    this.#queue.flush(true);
    this.#forgetKeys();
    this.#tellWatchers(undefined);
  }

  /**
   * Calls `watcher` synchronously after every commit, and when the store is locked or unlocked.
   *
   * @returns a function that ends the watch
   */
  watch(watcher: VaultWatcher): () => void {
    this.#watchers.add(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  /** Runs `work` on the last committed state. @throws CredentialError `Locked`, and what `work` throws */
  read<T>(work: (reader: VaultReader) => T): T {
    const { reader } = this.unlocked();
    try {
      return work(reader);
    } catch (error) {
      throw toCredentialError(error);
    }
  }

  /**
   * Like {@link read}, but bypasses the read cache. For work that reads very many records once: they would evict
   * entries that other callers read repeatedly, and stay in memory afterwards.
   */
  scan<T>(work: (reader: VaultReader) => T): T {
    const { sealing, principals } = this.unlocked();
    try {
      return work(new OpeningReader(this.#store, sealing, principals));
    } catch (error) {
      throw toCredentialError(error);
    }
  }

  /**
   * Runs `work` in one commit with the other writes of this turn of the event loop. The promise resolves when the
   * commit is on the disk. If `work` throws, only its own changes are dropped.
   *
   * @param uid the user that the write is for: users take turns, and the writes of one user keep their order; omitted
   *   for writes of the daemon itself
   * @throws CredentialError `Locked`, the reason why the commit failed (none of its changes was made then), and what
   *   `work` throws
   */
  write<T>(work: (writer: VaultWriter) => T, uid?: number): Promise<T> {
    return this.#queue.add(work, uid);
  }

  /**
   * Runs `work` while nothing else is written. Queued writes are committed first, but only as many as fit into the time
   * of one commit; the others wait until `work` has ended. Reads go on meanwhile and see the last committed state.
   *
   * @param work updates the vault's state itself after it has committed
   * @throws CredentialError `Locked`; `Busy` if the vault is being closed before the turn of `work` comes; and what
   *   `work` throws
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
      // A rekey alone changes nothing that a watcher can see.
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
   * Replaces the contents of the store, which may be locked, and unlocks the new contents. No write runs meanwhile.
   * Reads go on and see the old contents until everything is switched over within one turn of the event loop.
   *
   * @param rootKey decrypts the new contents; a key allocated by `Sodium`, of which the vault takes ownership
   * @param prepare begins the transaction that writes the new contents, and leaves it open
   * @throws CredentialError if nothing was changed, or if the new contents were committed but could not be unlocked;
   *   the store is locked then
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
      // The store is locked now, so watchers must not go on waiting for a change of the old contents.
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
      // From here on nothing may be read with the keys and cached records of the old contents.
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
   * Runs `work` on a snapshot of the last committed state. Commits go on meanwhile, but records that they delete are
   * not purged before `work` has ended.
   *
   * @param work calls `isInTheWay` now and then, which tells whether it has delayed a purge for too long
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

  /** Returns the damage in the pages of the store, see `SealedStore.findPageDamage`. @throws CredentialError */
  async findPageDamage(): Promise<string[]> {
    this.#purger.hold();
    try {
      return await this.#store.findPageDamage();
    } catch (error) {
      throw toCredentialError(error);
    } finally {
      this.#purger.release();
    }
  }

  /** Drops all cached pages of the store, see `SealedStore.dropCaches`: what is read next comes from the disk. */
  dropCaches(): void {
    this.#store.dropCaches(0);
  }

  /** Returns the approximate size of a copy of the store, in bytes. @throws CredentialError */
  copyBytes(): number {
    try {
      return this.#store.copyBytes();
    } catch (error) {
      throw toCredentialError(error);
    }
  }

  /** Writes a copy of the last committed state to a file, without any key. @throws CredentialError */
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

  /** Returns the state of the unlocked store. @throws CredentialError `Locked` */
  unlocked(): Unlocked {
    if (this.#unlocked === undefined) throw new CredentialError('Locked', {});
    return this.#unlocked;
  }

  /** Commits queued writes and closes the file. Exclusive work that still waits for its turn is not started. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.lock();
    this.#purger.now();
    this.#purger.stop();
    this.#store.close();
  }

  /** Blocks commits and purges by anything but this work until {@link #end}. */
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

  /**
   * Purges in the next turn of the event loop. After a large commit, the commit and the purge each process all of it in
   * one synchronous call, so other work gets a turn in between.
   */
  async #purgeNext(): Promise<void> {
    await nextTurn();
    this.#purger.nowUnlessHeld(1);
  }

  /**
   * Schedules a purge after a failed commit, to remove the frames that the commit left in the WAL. SQLite overwrites
   * them with the next commit, but a process that starts before that would take them for committed, whether or not they
   * are on the disk. A checkpoint may also free space on a full disk.
   */
  #purgeAfter(error: unknown): void {
    if (error instanceof StoreError && (error.failure === 'io' || error.failure === 'full')) this.#purger.soon();
  }

  #forgetKeys(): void {
    this.#sodium.release(this.#unlocked?.rootKey);
    this.#unlocked?.sealing.wipe();
    this.#unlocked = undefined;
  }

  #beginCommit(): PendingCommit | undefined {
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
    if (committed.hasDeletes) this.#purger.soon();
    else this.#purger.later();
    return follow(state, committed);
  }

  /**
   * Calls all watchers. The change has already happened, so a watcher that throws is reported and cannot fail the
   * change.
   */
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
  // The caller that awaits the work itself gets its error.
}
