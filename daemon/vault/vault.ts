import { CredentialError } from '../../src/errors.ts';
import { KIND, StoreError, fixedTag } from '../store/sealed-store.ts';
import type { SealedStore, SealedTransaction } from '../store/sealed-store.ts';
import { unwrapDataKey, wrapDataKey } from './data-key.ts';
import { Digest, decodeHead, encodeHead } from './head.ts';
import type { Head } from './head.ts';
import { changedGrants } from './change.ts';
import type { VaultChange } from './change.ts';
import { ReadCache } from './read-cache.ts';
import { OpeningReader } from './reader.ts';
import type { VaultReader } from './reader.ts';
import { Principals } from './principals.ts';
import { decodePrincipal } from './records.ts';
import { ID_BYTES, Sealing } from './sealing.ts';
import { SLOTS_READ_MAX, decodeSlot, encodeSlot } from './slots.ts';
import type { SlotRecord } from './slots.ts';
import { randomBytes } from './sodium.ts';
import type { Sodium } from './sodium.ts';
import { Turns } from '../time-slice.ts';
import { toCredentialError } from './store-failures.ts';
import { VaultTransaction } from './transaction.ts';
import type { VaultWriter } from './transaction.ts';

const PAGE = 500;

/** How long what was deleted may stay in SQLite's journal. */
const PURGE_DELAY_MS = 1000;

/** The same where somebody reads the file meanwhile, a backup of it perhaps. */
const PURGE_RETRY_MS = 10_000;

/** How long the jobs of one commit may keep others waiting. */
const FLUSH_MS = 50;

/** What there is while the store is open. */
export interface Unlocked {
  readonly rootKey: Uint8Array;
  sealing: Sealing;
  /** Undefined where it is damaged: everything can be read then, and nothing written until it was repaired. */
  head: Head | undefined;
  headBody: Uint8Array | undefined;
  /** Changed in place by each commit. */
  principals: Principals;
  /** False where some are damaged: nothing is written then either, it would make new ones that know nothing of the old. */
  arePrincipalsWhole: boolean;
  /** Belongs to the sealing: a new one starts with an empty one. */
  cache: ReadCache;
  reader: VaultReader;
}

interface Job {
  readonly run: (writer: VaultWriter) => unknown;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** @param change undefined where anything may have changed: the store was locked, unlocked or repaired */
export type VaultWatcher = (change: VaultChange | undefined) => void;

/** Hears of what went wrong where nobody waits for an answer. */
export interface VaultEvents {
  onPurgeFailed(error: unknown): void;
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
  readonly #events: VaultEvents;
  #storeId: Uint8Array;
  #unlocked: Unlocked | undefined;
  readonly #watchers: Set<VaultWatcher> = new Set();
  #queue: Job[] = [];
  #isFlushScheduled = false;
  #exclusive: Promise<unknown> | undefined;
  #purgeTimer: NodeJS.Timeout | undefined;

  /** @throws CredentialError `Damaged` where the store has no id */
  constructor(store: SealedStore, sodium: Sodium, events: VaultEvents) {
    this.#store = store;
    this.#sodium = sodium;
    this.#events = events;
    this.#storeId = storeIdIn(store);
  }

  /** Tells whether there is nothing in the file yet. */
  static isEmpty(store: SealedStore): boolean {
    return Object.values(KIND).every((kind) => store.list(kind, undefined, 1).length === 0);
  }

  /**
   * Makes the first records of an empty store: its id, a root key in one slot, a data key.
   *
   * @param firstSlot wraps the root key, which it does not keep
   */
  static async create(
    store: SealedStore,
    sodium: Sodium,
    firstSlot: (storeId: Uint8Array, rootKey: Uint8Array) => Promise<SlotRecord>,
  ): Promise<void> {
    const storeId = randomBytes(ID_BYTES);
    const rootKey = sodium.newKey();
    const dataKey = sodium.newKey();
    const epoch = 1;
    const sealing = new Sealing(sodium, storeId, epoch, dataKey);
    try {
      const slot = await firstSlot(storeId, rootKey);
      const records = [
        { kind: KIND.store, tag: fixedTag('store'), body: storeId },
        { kind: KIND.slot, tag: Buffer.from(slot.id), body: encodeSlot(slot) },
        wrapDataKey(sodium, storeId, rootKey, epoch, dataKey),
      ];
      const digest = new Digest();
      for (const { kind, tag, body } of records) digest.add(sealing.fingerprint(kind, tag, body));
      const headTag = fixedTag('head');
      const transaction = store.begin(undefined);
      try {
        for (const record of records) transaction.put(record);
        const body = sealing.seal(KIND.head, headTag, encodeHead({ commits: 1, digest }));
        transaction.put({ kind: KIND.head, tag: headTag, body });
        transaction.commit();
      } catch (error) {
        transaction.rollback();
        throw error;
      }
    } finally {
      sodium.release(rootKey, dataKey);
      sealing.wipe();
    }
  }

  get isLocked(): boolean {
    return this.#unlocked === undefined;
  }

  get storeId(): Uint8Array {
    return this.#storeId;
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
      sealing = this.#openDataKey(rootKey);
      if (sealing === undefined) throw new CredentialError('Damaged', {});
      const { principals, arePrincipalsWhole } = this.#readPrincipals(sealing);
      const headBody = this.#store.get(KIND.head, fixedTag('head'));
      const headText = headBody && sealing.open(KIND.head, fixedTag('head'), headBody);
      const head = headText && decodeHead(headText);
      const cache = new ReadCache();
      const reader = new OpeningReader(this.#store, sealing, principals, cache);
      this.#unlocked = { rootKey, sealing, head, headBody, principals, arePrincipalsWhole, cache, reader };
      // A daemon that was killed may have left what was deleted in the journal.
      this.#purgeIn(PURGE_DELAY_MS);
      this.#tellWatchers(undefined);
    } catch (error) {
      sealing?.wipe();
      this.#sodium.release(rootKey);
      throw toCredentialError(error);
    }
  }

  /** Wipes the keys, after what was asked before: writes that wait are committed, an exclusive work is let finish. */
  async lock(): Promise<void> {
    while (this.#exclusive !== undefined) await this.#exclusive;
    this.#flush(true);
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
   */
  write<T>(work: (writer: VaultWriter) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#queue.push({ run: work, resolve: resolve as (result: unknown) => void, reject });
      this.#scheduleFlush();
    });
  }

  /**
   * Runs `work` while no write is. Reads go on meanwhile, and see what was committed last.
   *
   * @param work changes the vault's state by itself, when it has committed
   */
  async exclusive<T>(work: (state: Unlocked, store: SealedStore) => Promise<T>): Promise<T> {
    while (this.#exclusive !== undefined) await this.#exclusive;
    this.#flush(true);
    const state = this.unlocked();
    const { headBody, sealing } = state;
    const running = work(state, this.#store);
    this.#exclusive = running.then(ignore, ignore);
    try {
      const result = await running;
      if (state.headBody !== headBody) this.#purge();
      // A new data key alone changes nothing that anybody sees.
      if (state.headBody !== headBody && state.sealing === sealing) this.#tellWatchers(undefined);
      return result;
    } catch (error) {
      throw toCredentialError(error);
    } finally {
      this.#exclusive = undefined;
      if (this.#queue.length > 0) this.#scheduleFlush();
    }
  }

  /**
   * Takes other contents for those of the store, which may be locked, and opens them. No write is done meanwhile; reads
   * go on and see what was there before, up to the moment in which everything is another.
   *
   * @param rootKey opens the new contents; a key of `Sodium`'s that becomes the vault's own
   * @param prepare begins the transaction that puts them there, and leaves it open
   * @throws CredentialError where nothing was changed
   */
  async replace(rootKey: Uint8Array, prepare: (store: SealedStore) => Promise<SealedTransaction>): Promise<void> {
    let isTaken = false;
    try {
      while (this.#exclusive !== undefined) await this.#exclusive;
      this.#flush(true);
      const preparing = prepare(this.#store);
      this.#exclusive = preparing.then(ignore, ignore);
      (await preparing).commit();
      // From here on nobody may read with the keys and the records in memory that were those of the old contents.
      this.#forgetKeys();
      this.#storeId = storeIdIn(this.#store);
      isTaken = true;
      this.unlock(rootKey);
      this.#purge();
    } catch (error) {
      if (!isTaken) this.#sodium.release(rootKey);
      // Whoever waits for something of the old contents waits for nothing.
      if (this.#unlocked === undefined) this.#tellWatchers(undefined);
      throw toCredentialError(error);
    } finally {
      this.#exclusive = undefined;
      if (this.#queue.length > 0) this.#scheduleFlush();
    }
  }

  /** Makes a file of what was committed last; it needs no key. @throws CredentialError */
  async copyTo(path: string): Promise<void> {
    try {
      await this.#store.copyTo(path);
    } catch (error) {
      throw toCredentialError(error);
    }
  }

  /** @throws CredentialError `Locked` */
  unlocked(): Unlocked {
    if (this.#unlocked === undefined) throw new CredentialError('Locked', {});
    return this.#unlocked;
  }

  /** Commits what waits, and closes the file. */
  async close(): Promise<void> {
    while (this.#exclusive !== undefined) await this.#exclusive;
    this.#flush(true);
    await this.lock();
    this.#purge();
    clearTimeout(this.#purgeTimer);
    this.#store.close();
  }

  #forgetKeys(): void {
    this.#sodium.release(this.#unlocked?.rootKey);
    this.#unlocked?.sealing.wipe();
    this.#unlocked = undefined;
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled || this.#exclusive !== undefined) return;
    this.#isFlushScheduled = true;
    setImmediate(() => {
      this.#isFlushScheduled = false;
      if (this.#exclusive === undefined) this.#flush();
    });
  }

  /**
   * Commits what waits. Jobs that take long are spread over several commits, so that others have their turn in between,
   * unless `isLast` says that nothing may be left.
   */
  #flush(isLast = false): void {
    if (this.#queue.length === 0) return;
    const state = this.#unlocked;
    if (state === undefined) {
      for (const job of this.#queue.splice(0)) job.reject(new CredentialError('Locked', {}));
      return;
    }
    const transaction = new VaultTransaction(this.#store, state.sealing, state.principals);
    const answers: { readonly job: Job; readonly result: unknown }[] = [];
    const start = performance.now();
    let done = 0;
    for (const job of this.#queue) {
      done += 1;
      try {
        answers.push({ job, result: job.run(transaction) });
        transaction.keep();
      } catch (error) {
        transaction.drop();
        job.reject(toCredentialError(error));
      }
      if (!isLast && performance.now() - start > FLUSH_MS) break;
    }
    this.#queue.splice(0, done);
    if (this.#queue.length > 0) this.#scheduleFlush();
    try {
      if (transaction.hasChanges) this.#commit(state, transaction);
    } catch (error) {
      for (const { job } of answers) job.reject(toCredentialError(error));
      return;
    }
    for (const { job, result } of answers) job.resolve(result);
  }

  #commit(state: Unlocked, transaction: VaultTransaction): void {
    const { head, headBody, arePrincipalsWhole } = state;
    if (head === undefined || headBody === undefined || !arePrincipalsWhole) throw new CredentialError('Damaged', {});
    const committed = transaction.commit(head, headBody);
    state.head = committed.head;
    state.headBody = committed.headBody;
    const grants = changedGrants(state.principals, committed.principals);
    state.principals.follow(committed.principals);
    state.cache.forget(committed.changed);
    if (committed.hasDeletes) this.#purgeIn(PURGE_DELAY_MS);
    this.#tellWatchers({ credentials: committed.changed, healths: committed.healths, grants });
  }

  #tellWatchers(change: VaultChange | undefined): void {
    for (const watcher of this.#watchers) watcher(change);
  }

  #purgeIn(delayMs: number): void {
    this.#purgeTimer ??= setTimeout(() => {
      this.#purgeTimer = undefined;
      // An exclusive work has a transaction of its own, and purges at its end.
      if (this.#exclusive === undefined) this.#purge();
      else this.#purgeIn(delayMs);
    }, delayMs).unref();
  }

  #purge(): void {
    try {
      this.#store.purge();
    } catch (error) {
      this.#events.onPurgeFailed(error);
      this.#purgeIn(PURGE_RETRY_MS);
    }
  }

  /** There is one data key. Where an older one was put back beside it, it is the newest that counts. */
  #openDataKey(rootKey: Uint8Array): Sealing | undefined {
    for (const { tag, body } of this.#store.list(KIND.dataKey, undefined, PAGE).toReversed()) {
      const sealing = unwrapDataKey(this.#sodium, this.#storeId, rootKey, tag, body);
      if (sealing !== undefined) return sealing;
    }
    return undefined;
  }

  /** Damaged ones grant nothing until they are repaired; fsck names them. */
  #readPrincipals(sealing: Sealing): Pick<Unlocked, 'principals' | 'arePrincipalsWhole'> {
    const principals = new Principals();
    let arePrincipalsWhole = true;
    try {
      let after: Uint8Array | undefined;
      do {
        const page = this.#store.list(KIND.principal, after, PAGE);
        for (const { tag, body } of page) {
          const text = sealing.open(KIND.principal, tag, body);
          const record = text && decodePrincipal(text);
          if (record === undefined) arePrincipalsWhole = false;
          else principals.set(record.principal, record);
        }
        after = page.length < PAGE ? undefined : page.at(-1)?.tag;
      } while (after !== undefined);
    } catch (error) {
      if (!(error instanceof StoreError && error.failure === 'damaged')) throw error;
      arePrincipalsWhole = false;
    }
    return { principals, arePrincipalsWhole };
  }
}

function storeIdIn(store: SealedStore): Uint8Array {
  const storeId = store.get(KIND.store, fixedTag('store'));
  if (storeId?.length !== ID_BYTES) throw new CredentialError('Damaged', {});
  return Uint8Array.from(storeId);
}

function ignore(): void {
  // The work's own caller hears of its failure.
}
