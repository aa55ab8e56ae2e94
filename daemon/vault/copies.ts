import { createHash } from 'node:crypto';
import { fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';

import { CredentialError } from '../../src/errors.ts';
import { CopyDirectory, closeForGood, renameDurably } from '../store/copy-directory.ts';
import { asFileError } from '../store/file-error.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import { openDataKey } from './data-key.ts';
import { OpenedCopy } from './opened-copy.ts';
import type { CopySummary } from './opened-copy.ts';
import { readPrincipals } from './principals.ts';
import type { PrincipalRecord } from './records.ts';
import { prepareReplacement } from './replace.ts';
import type { SlotPlaces } from './slot-keeper.ts';
import type { Sodium } from './sodium.ts';
import { toCredentialError } from './store-failures.ts';
import { Uploads } from './uploads.ts';
import type { Upload } from './uploads.ts';
import type { Vault } from './vault.ts';

/** Bytes of a copy that go out at once: with base64, a quarter of what may wait for a slow reader. */
const PIECE_BYTES: number = 192 * 1024;

/** Copies on their way out at a time: one that is read slowly keeps nobody from having another. */
const SENT_MAX = 2;

/** How long the reading of one may take altogether; each of its pieces has a shorter limit, which begins anew with the next. */
const SENDING_TIME_MAX_MS: number = 60 * 60 * 1000;

/** What was in the store before the last restore. */
const KEPT_FILE = 'credentials.db.before-restore';

/** One piece of a copy on its way out. */
export interface Piece {
  readonly bytes: Uint8Array;
  /** Of the whole copy. */
  readonly size: number;
  /** SHA-256 of the whole copy; with the last piece only, which is empty. */
  readonly sha256: string | undefined;
}

/** What somebody gave to open a copy with. */
export interface CopySecret {
  readonly passphrase: string | undefined;
  readonly recoveryCode: string | undefined;
}

/** What is known of a copy that was opened, and what became of it. */
export interface RestoreReport extends CopySummary {
  readonly storeId: Uint8Array;
  readonly isSameStore: boolean;
  /** Undefined while the store is locked. */
  readonly storeCommits: number | undefined;
  readonly opensByItself: boolean;
  /** Where the old contents are; undefined where nothing was changed. */
  readonly keptPath: string | undefined;
}

/** Copies of the store, on their way out and in. */
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

  /** Removes what an earlier daemon left unfinished. */
  clear(): void {
    this.#directory.clear();
  }

  /**
   * A copy of the store as it is when the first piece is asked for.
   *
   * @throws CredentialError `Busy`, `TimedOut`, `StorageFull`, `StorageFailed`, `Damaged`
   */
  async *pieces(): AsyncGenerator<Piece, void, undefined> {
    if (this.#sent >= SENT_MAX) throw new CredentialError('Busy', {});
    this.#sent += 1;
    const end = performance.now() + SENDING_TIME_MAX_MS;
    let path: string | undefined;
    let file: number | undefined;
    try {
      path = await this.#copy();
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
      yield { bytes: Buffer.alloc(0), size, sha256: hash.digest('hex') };
    } catch (error) {
      throw toCredentialError(asFileError(error, 'cannot read a copy'));
    } finally {
      if (file !== undefined) closeForGood(file);
      if (path !== undefined) this.#directory.remove(path);
      this.#sent -= 1;
    }
  }

  /**
   * Opens and checks a copy that was taken in and, unless only that is asked for, puts its contents in the place of those
   * of the store.
   *
   * @throws CredentialError `BadCopy`, `UnlockFailed`, `Busy`, `Locked` where somebody locked the store meanwhile, and those of
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

  /** Gives the path of a copy of the store, which its owner removes. */
  async #copy(): Promise<string> {
    using _room = this.#directory.reserveRoom(this.#vault.copyBytes());
    const path = this.#directory.newFile();
    try {
      await this.#vault.copyTo(path);
      return path;
    } catch (error) {
      this.#directory.remove(path);
      throw error;
    }
  }

  /** @param mayBeLocked the store was locked when it was asked for, and is opened by it */
  async #replaceBy(copy: OpenedCopy, mayBeLocked: boolean): Promise<string> {
    using _room = this.#reserveRoomFor(copy);
    const keptPath = join(this.#places.stateDirectory, KEPT_FILE);
    try {
      await this.#vault.replace(copy.rootKey(this.#sodium), async (store) => {
        if (!mayBeLocked) this.#vault.unlocked();
        await this.#keep(store, keptPath);
        await copy.countOnFrom(this.#principals(store, copy), this.#vault.storeId);
        return prepareReplacement(store, copy.records);
      });
    } finally {
      // It counts on from the store as it was now: after another commit, another attempt would take that for its own past.
      this.uploads.drop();
    }
    return keptPath;
  }

  /**
   * Asked before anything is begun: what is kept of the store has its size, the journal that of the larger of the two, and
   * the file grows to it.
   */
  #reserveRoomFor(copy: OpenedCopy): Disposable {
    try {
      return this.#directory.reserveRoom(2 * Math.max(this.#vault.copyBytes(), copy.bytes));
    } catch (error) {
      throw toCredentialError(error);
    }
  }

  /** Those of the store: where it is locked, by the root key of the copy, which is the same where it is a copy of it. */
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

  /** Whole or not at all: an earlier one is replaced when the new one is on the disk. */
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
