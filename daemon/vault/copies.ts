import { createHash } from 'node:crypto';
import { fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

import { CredentialError } from '../../src/errors.ts';
import { Latch, NEVER } from '../emitter.ts';
import type { Subscribe } from '../emitter.ts';
import { CopyDirectory, closeForGood, renameDurably } from '../store/copy-directory.ts';
import { asFileError } from '../store/file-error.ts';
import { StoreError } from '../store/sealed-store.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import { openDataKey } from './data-key.ts';
import { OpenedCopy } from './opened-copy.ts';
import type { CopySummary } from './opened-copy.ts';
import { readPrincipals } from './principals.ts';
import { isStoreWhole, proveCopy } from './prove-copy.ts';
import type { PrincipalRecord } from './records.ts';
import { prepareReplacement } from './replace.ts';
import type { SlotPlaces } from './slot-keeper.ts';
import type { Sodium } from './sodium.ts';
import { toCredentialError } from './store-failures.ts';
import { Uploads } from './uploads.ts';
import type { Upload } from './uploads.ts';
import type { Vault } from './vault.ts';

/** Size of the pieces in which a copy is sent: in base64, a quarter of what may be buffered for a slow reader. */
const PIECE_BYTES: number = 192 * 1024;

/** Most copies that are made until one is whole: the disk may return wrong bytes once. */
const ATTEMPTS_MAX = 2;

/** Most copies sent at the same time: a slow reader must not keep another one from getting a copy. */
const SENT_MAX = 2;

/** Time limit for sending a whole copy; each of its pieces also has a shorter one. */
const SENDING_TIME_MAX_MS: number = 60 * 60 * 1000;

/** Name of the file with the contents of the store before the last restore. */
const KEPT_FILE = 'credentials.db.before-restore';

/** One piece of a copy that is sent. */
export interface Piece {
  readonly bytes: Uint8Array;
  /** Size of the whole copy in bytes. */
  readonly size: number;
  /** SHA-256 of the whole copy; with the last piece only, which is empty. */
  readonly sha256: string | undefined;
}

/** The secrets that a caller gave to unlock a copy. */
export interface CopySecret {
  readonly passphrase: string | undefined;
  readonly recoveryCode: string | undefined;
}

/** Facts about a copy that was opened, and the outcome of the restore. */
export interface RestoreReport extends CopySummary {
  readonly storeId: Uint8Array;
  readonly isSameStore: boolean;
  /** Number of commits of the store; undefined while it is locked. */
  readonly storeCommits: number | undefined;
  readonly opensByItself: boolean;
  /** Path of the file with the old contents; undefined if the copy was only checked. */
  readonly keptPath: string | undefined;
}

/** Sends copies of the store, and receives and restores them. */
export class Copies {
  readonly #vault: Vault;
  readonly #sodium: Sodium;
  readonly #places: SlotPlaces;
  readonly #now: () => number;
  readonly #directory: CopyDirectory;
  readonly uploads: Uploads;
  #sent = 0;

  constructor(vault: Vault, sodium: Sodium, places: SlotPlaces, now: () => number) {
    this.#vault = vault;
    this.#sodium = sodium;
    this.#places = places;
    this.#now = now;
    this.#directory = new CopyDirectory(places.stateDirectory);
    this.uploads = new Uploads(this.#directory);
  }

  /** Removes unfinished copies of an earlier daemon. */
  clear(): void {
    this.#directory.clear();
  }

  /**
   * Yields the pieces of a copy of the store, as it is when the first piece is requested. The last piece comes only if
   * the copy is proven, and what was sent is what was proven.
   *
   * @param onGone ends the proof with `Busy` when the caller has left: there is room for few copies at a time
   * @throws CredentialError `Busy`, `TimedOut`, `StorageFull`, `StorageFailed`, `Damaged`
   */
  async *pieces(onGone: Subscribe = NEVER): AsyncGenerator<Piece, void, undefined> {
    if (this.#sent >= SENT_MAX) throw new CredentialError('Busy', {});
    using gone = new Latch(onGone);
    this.#sent += 1;
    const end = performance.now() + SENDING_TIME_MAX_MS;
    let path: string | undefined;
    let file: number | undefined;
    try {
      const proven = await this.#provenCopy(gone);
      path = proven.path;
      file = openSync(path, 'r');
      const { size } = fstatSync(file);
      const hash = createHash('sha256');
      for (;;) {
        const bytes = Buffer.alloc(PIECE_BYTES);
        const count = readSync(file, bytes, 0, PIECE_BYTES, null);
        if (count === 0) break;
        const piece = bytes.subarray(0, count);
        hash.update(piece);
        yield { bytes: piece, size, sha256: undefined };
        if (performance.now() > end) throw new CredentialError('TimedOut', {});
      }
      const sha256 = hash.digest('hex');
      if (sha256 !== proven.sha256) throw new StoreError('io', 'the disk returned other bytes of a copy than before');
      yield { bytes: Buffer.alloc(0), size, sha256 };
    } catch (error) {
      throw toCredentialError(asFileError(error, 'cannot read a copy'));
    } finally {
      if (file !== undefined) closeForGood(file);
      if (path !== undefined) this.#directory.remove(path);
      this.#sent -= 1;
    }
  }

  /**
   * Opens and checks an uploaded copy and, unless `checkOnly` is set, replaces the contents of the store with its
   * contents.
   *
   * @throws CredentialError `BadCopy`, `UnlockFailed`, `Busy`, `Locked` if the store was locked meanwhile, and those of
   *   the storage: nothing was changed then
   */
  restore(id: string, sha256: string, secret: CopySecret, checkOnly: boolean): Promise<RestoreReport> {
    const { isLocked } = this.#vault;
    return this.uploads.use(id, sha256, async (upload) => {
      const copy = await this.#open(upload, secret);
      try {
        if (!upload.isChecked) await copy.check();
        upload.isChecked = true;
        const isSameStore = Buffer.compare(copy.storeId, this.#vault.storeId) === 0;
        const storeCommits = this.#vault.isLocked ? undefined : this.#vault.unlocked().head?.commits;
        const { storeId, opensByItself } = copy;
        const known = { ...(await copy.summary()), storeId, isSameStore, storeCommits, opensByItself };
        if (checkOnly) return { ...known, keptPath: undefined };
        return { ...known, keptPath: await this.#replaceBy(copy, isLocked) };
      } finally {
        await copy.close();
      }
    });
  }

  async #open(upload: Upload, secret: CopySecret): Promise<OpenedCopy> {
    try {
      const keys = { store: this.#vault, ...secret };
      return await OpenedCopy.open(upload.path, this.#sodium, this.#places, this.#now, keys, upload.isChecked);
    } catch (error) {
      throw toCredentialError(error);
    }
  }

  /** Makes a copy of the store that is proven, and returns its path and hash; the caller removes it. */
  async #provenCopy(gone: Latch): Promise<{ readonly path: string; readonly sha256: string }> {
    const requireWanted = (): void => {
      if (gone.isSet) throw new CredentialError('Busy', {});
    };
    for (let attempts = 1; ; attempts += 1) {
      const path = this.#directory.newFile();
      try {
        await this.#copyTo(path);
        const proof = await proveCopy(this.#vault, path, requireWanted);
        if (typeof proof === 'object') return { path, ...proof };
        if (attempts === ATTEMPTS_MAX) throw await this.#notProven(proof, requireWanted);
      } catch (error) {
        this.#directory.remove(path);
        throw error;
      }
      this.#directory.remove(path);
      // The bytes that were wrong may have been those of the store, which the kernel keeps.
      this.#vault.dropCaches();
    }
  }

  async #copyTo(path: string): Promise<void> {
    using _room = this.#directory.reserveRoom(this.#vault.copyBytes());
    await this.#vault.copyTo(path);
  }

  /** Returns why no copy could be proven. */
  async #notProven(proof: 'damaged' | 'interrupted', requireWanted: () => void): Promise<Error> {
    if (proof === 'interrupted') return new CredentialError('Busy', {});
    if (await isStoreWhole(this.#vault, requireWanted))
      return new StoreError('io', 'the disk returns wrong bytes of copies');
    return new StoreError('damaged', 'the store is damaged, and so is each copy of it');
  }

  /**
   * Replaces the contents of the store by those of a copy.
   *
   * @param mayBeLocked whether the store was locked when the restore was requested, which then unlocks it
   */
  async #replaceBy(copy: OpenedCopy, mayBeLocked: boolean): Promise<string> {
    using _room = this.#reserveRoomFor(copy);
    const keptPath = join(this.#places.stateDirectory, KEPT_FILE);
    try {
      await this.#vault.replace(copy.rootKey(this.#sodium), async (store) => {
        if (!mayBeLocked) this.#vault.unlocked();
        await this.#keep(store, keptPath);
        await copy.countOnFrom(this.#principals(store, copy), this.#vault.storeId);
        return prepareReplacement(store, copy.records, copy.keys);
      });
    } finally {
      // The generations in the copy now continue those of the store as it is at this moment. If this copy were used
      // again after further commits of the store, it would take these for its own past.
      this.uploads.drop();
    }
    return keptPath;
  }

  /**
   * Reserves the disk space of a restore before it begins: the kept copy of the store is as large as the store, the WAL
   * grows to the size of the larger of the two, and the file to that of the copy.
   */
  #reserveRoomFor(copy: OpenedCopy): Disposable {
    try {
      return this.#directory.reserveRoom(2 * Math.max(this.#vault.copyBytes(), copy.bytes));
    } catch (error) {
      throw toCredentialError(error);
    }
  }

  /**
   * Returns the principals of the store. While the store is locked, they are decrypted with the root key of the copy,
   * which is the same if it is a copy of this store; none are returned if it is not.
   */
  #principals(store: SealedStore, copy: OpenedCopy): PrincipalRecord[] {
    if (!this.#vault.isLocked) return this.#vault.read((reader) => [...reader.principals()]);
    const rootKey = copy.rootKey(this.#sodium);
    try {
      const sealing = openDataKey(this.#sodium, store, this.#vault.storeId, rootKey);
      if (sealing === undefined) return [];
      try {
        return [...readPrincipals(store, sealing).principals.values()];
      } finally {
        sealing.wipe();
      }
    } finally {
      this.#sodium.release(rootKey);
    }
  }

  /**
   * Keeps a copy of the store at `keptPath`, whole or not at all: replaces an earlier one once the new one is on the
   * disk.
   */
  async #keep(store: SealedStore, keptPath: string): Promise<void> {
    const path = this.#directory.newFile();
    try {
      await store.copyTo(path);
      renameDurably(path, keptPath);
    } finally {
      this.#directory.remove(path);
    }
  }
}
