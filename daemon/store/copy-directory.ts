import { randomBytes } from 'node:crypto';
import { closeSync, openSync, renameSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { makeDirectories } from '../make-directories.ts';
import { asFileError } from './file-error.ts';
import { StoreError } from './sealed-store.ts';
import { syncDirectory } from './sync-directory.ts';

const FOLDER = 'copies';

/** What SQLite puts beside a file. */
const COMPANIONS = ['', '-wal', '-shm', '-journal'];

/** What copies leave free of the disk, which is the store's own: it must have room for what is written meanwhile. */
const RESERVED_SHARE = 0.05;
const RESERVED_BYTES_MAX: number = 256 * 1024 ** 2;

/** Where copies of the store lie for a moment, on the store's own disk: ciphertext, and nobody else's to read. */
export class CopyDirectory {
  readonly #stateDirectory: string;
  readonly #path: string;
  /** Bytes that were promised to somebody who has not written them all. */
  #promised = 0;

  constructor(stateDirectory: string) {
    this.#stateDirectory = stateDirectory;
    this.#path = join(stateDirectory, FOLDER);
  }

  /** Removes what a daemon left there that was killed, or could not remove. Nothing may be in use. @throws StoreError */
  clear(): void {
    try {
      rmSync(this.#path, { recursive: true, force: true });
    } catch (error) {
      throw asFileError(error, 'cannot remove old copies');
    }
  }

  /** @throws StoreError `full` where so many bytes would leave too little for the store itself */
  requireRoom(bytes: number): void {
    const { bavail, blocks, bsize } = withStoreErrors(() => statfsSync(this.#stateDirectory));
    const reserved = Math.min(blocks * bsize * RESERVED_SHARE, RESERVED_BYTES_MAX);
    if (bavail * bsize - this.#promised - bytes < reserved) {
      throw new StoreError('full', 'a copy would fill the disk of the store');
    }
  }

  /**
   * Keeps room for so many bytes from others, until it is disposed of: when they are written, the disk itself tells.
   *
   * @throws StoreError as {@link requireRoom}
   */
  reserveRoom(bytes: number): Disposable {
    this.requireRoom(bytes);
    this.#promised += bytes;
    return {
      [Symbol.dispose]: () => {
        this.#promised -= bytes;
      },
    };
  }

  /** Makes an empty file, which SQLite takes for a new database, and gives its path. @throws StoreError */
  newFile(): string {
    return withStoreErrors(() => {
      makeDirectories(this.#path, 0o700);
      const path = join(this.#path, `${randomBytes(8).toString('hex')}.db`);
      closeSync(openSync(path, 'wx', 0o600));
      return path;
    });
  }

  /**
   * Removes a file of {@link newFile}, and what belongs to it; it need not be there. What the system does not let go is left
   * to {@link clear}: whatever the copy was for is done, or has failed for a better reason.
   */
  remove(path: string): void {
    for (const companion of COMPANIONS) attempt(() => rmSync(`${path}${companion}`, { force: true }));
  }
}

/** Opens a file for writing it from its beginning; the caller closes it. @throws StoreError */
export function openForWriting(path: string): number {
  return withStoreErrors(() => openSync(path, 'w'));
}

/** Writes all of it. @throws StoreError */
export function writeFully(file: number, bytes: Uint8Array): void {
  withStoreErrors(() => {
    for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
  });
}

/** Gives a file that is on the disk another name, which is on the disk afterwards. @throws StoreError */
export function renameDurably(from: string, to: string): void {
  withStoreErrors(() => {
    renameSync(from, to);
    syncDirectory(dirname(to));
  });
}

/** Closes a file that nobody needs any more: whatever the system says of it comes too late. */
export function closeForGood(file: number): void {
  attempt(() => closeSync(file));
}

/** Does what need not succeed. */
export function attempt(work: () => void): void {
  try {
    work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno === undefined) throw error;
  }
}

/** Runs work on files; what the system refuses is a failure of the storage. */
function withStoreErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asFileError(error, 'cannot keep a copy');
  }
}
