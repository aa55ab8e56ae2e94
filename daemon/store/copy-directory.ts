import { randomBytes } from 'node:crypto';
import { closeSync, openSync, renameSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { makeDirectories } from '../make-directories.ts';
import { asFileError } from './file-error.ts';
import { StoreError } from './sealed-store.ts';
import { syncDirectory } from './sync-directory.ts';

const FOLDER = 'copies';

/** Suffixes of a database file and of the files that SQLite creates beside it. */
const COMPANIONS = ['', '-wal', '-shm', '-journal'];

/**
 * Share of the disk that copies leave free, up to the bytes below: the store is on the same disk and needs room to
 * write.
 */
const RESERVED_SHARE = 0.05;
const RESERVED_BYTES_MAX: number = 256 * 1024 ** 2;

/**
 * The directory for temporary copies of the store, on the store's own disk. They are ciphertext, readable by the daemon
 * only.
 */
export class CopyDirectory {
  readonly #stateDirectory: string;
  readonly #path: string;
  /** Bytes that are reserved for copies that are not completely written yet. */
  #promised = 0;

  constructor(stateDirectory: string) {
    this.#stateDirectory = stateDirectory;
    this.#path = join(stateDirectory, FOLDER);
  }

  /** Removes files that an earlier daemon left behind. No copy may be in use. @throws StoreError */
  clear(): void {
    try {
      rmSync(this.#path, { recursive: true, force: true });
    } catch (error) {
      throw asFileError(error, 'cannot remove old copies');
    }
  }

  /** @throws StoreError `full` if a copy of this size would leave too little room for the store itself */
  requireRoom(bytes: number): void {
    const { bavail, blocks, bsize } = withStoreErrors(() => statfsSync(this.#stateDirectory));
    const reserved = Math.min(blocks * bsize * RESERVED_SHARE, RESERVED_BYTES_MAX);
    if (bavail * bsize - this.#promised - bytes < reserved) {
      throw new StoreError('full', 'a copy would fill the disk of the store');
    }
  }

  /**
   * Reserves room for so many bytes until it is disposed of, which is due once they are written and so show in the free
   * space of the disk.
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

  /** Creates an empty file, which SQLite takes for a new database, and returns its path. @throws StoreError */
  newFile(): string {
    return withStoreErrors(() => {
      makeDirectories(this.#path, 0o700);
      const path = join(this.#path, `${randomBytes(8).toString('hex')}.db`);
      closeSync(openSync(path, 'wx', 0o600));
      return path;
    });
  }

  /**
   * Removes a file of {@link newFile} and those beside it, if they exist. Errors are ignored: a file that cannot be
   * removed is left to {@link clear}, and the operation that needed the copy has succeeded, or failed for a reason of
   * its own.
   */
  remove(path: string): void {
    for (const companion of COMPANIONS) attempt(() => rmSync(`${path}${companion}`, { force: true }));
  }
}

/** Opens a file for writing and truncates it; the caller closes it. @throws StoreError */
export function openForWriting(path: string): number {
  return withStoreErrors(() => openSync(path, 'w'));
}

/** Writes all bytes, across partial writes. @throws StoreError */
export function writeFully(file: number, bytes: Uint8Array): void {
  withStoreErrors(() => {
    for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
  });
}

/** Renames a file and syncs the directory; the file's contents must be synced already. @throws StoreError */
export function renameDurably(from: string, to: string): void {
  withStoreErrors(() => {
    renameSync(from, to);
    syncDirectory(dirname(to));
  });
}

/** Closes a file that is no longer needed, and ignores errors of the system. */
export function closeForGood(file: number): void {
  attempt(() => closeSync(file));
}

/** Runs `work` and ignores errors of the system. */
export function attempt(work: () => void): void {
  try {
    work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno === undefined) throw error;
  }
}

/** Runs `work` on files, and throws errors of the system as {@link StoreError}. */
function withStoreErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asFileError(error, 'cannot keep a copy');
  }
}
