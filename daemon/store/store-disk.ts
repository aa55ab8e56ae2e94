import { closeSync, constants, fsyncSync, openSync, readSync, rmSync, statSync, statfsSync, writeSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { dirname } from 'node:path';

import Database from 'better-sqlite3';

import { SystemError, forgetPages, lockRecords } from '../kernel/libc.ts';
import { describeSystemError, errnoOf } from '../system-error.ts';
import { attempt, closeForGood } from './copy-directory.ts';
import { journalOf } from './database-file.ts';
import { asFileError } from './file-error.ts';
import { overwriteLeftovers, pagesInFile, pagesInJournal } from './leftovers.ts';
import { StoreError } from './sealed-store.ts';
import { asStoreError } from './sqlite-connection.ts';

/** What is used of it here; the types of Node have none of it. */
declare const WebAssembly: { readonly Memory: new (pages: { initial: number }) => { readonly buffer: ArrayBuffer } };

/** Enough for any disk: what is read without the kernel's memory has to be whole blocks, into memory that is aligned to them. */
const BLOCK_BYTES = 4096;

/** How a file ends that is made to hear why none can be, and removed. */
const TRIED = '-tried';

/** What is done to such a file where SQLite fails with one of some codes, and has no reason for it. */
interface Trial {
  readonly codes: RegExp;
  readonly what: string;
  readonly work: (file: number) => void;
}

const MAKING: Trial = { codes: /^SQLITE_CANTOPEN/, what: 'opened', work: () => undefined };

/** It takes a file system that has no locks to give (ENOLCK) for another program that has them. */
const LOCKING: Trial = { codes: /^SQLITE_(BUSY|PROTOCOL|IOERR_LOCK)/, what: 'locked', work: lockRecords };

const TRIALS: readonly Trial[] = [
  MAKING,
  // A quota (EDQUOT) is none of its errors. A backup tells no more than that one of the two files failed.
  { codes: /^SQLITE_IOERR(_WRITE|_FSYNC|_TRUNCATE)?$/, what: 'written', work: writeBlock },
  LOCKING,
];

/**
 * The disk of a store, asked without SQLite, which says less than the system: that a page is damaged where the disk gives
 * nothing any more (EIO), and that a file cannot be opened, for whatever reason.
 */
export class StoreDisk {
  readonly #path: string;
  /** Why SQLite has opened the file for reading, and stays so. */
  readonly #whyReadOnly: unknown;
  #file: number | undefined;
  /** The same file, to be written. */
  #pages: number | undefined;
  #journal: number | undefined;
  #block: Uint8Array | undefined;
  /** Whether its file system gave no locks when SQLite had tried for long. */
  #lacksLocks = false;

  private constructor(path: string, file: number | undefined, whyReadOnly?: unknown) {
    this.#path = path;
    this.#file = file;
    this.#whyReadOnly = whyReadOnly;
  }

  /** Of a store that is not open: of its disk no more is asked than why there cannot be another file. */
  static of(path: string): StoreDisk {
    return new StoreDisk(path, undefined);
  }

  /**
   * Of a store that is open, and closed before this is: SQLite's locks (fcntl(2)) go when any descriptor of its file is
   * closed. Where the file system does not read past the kernel's memory, nothing is known of its disk.
   *
   * @param whyReadOnly what {@link whyNotOpened} said
   */
  static open(path: string, whyReadOnly?: unknown): StoreDisk {
    const disk = new StoreDisk(path, openIfAllowed(path, constants.O_RDONLY | constants.O_DIRECT), whyReadOnly);
    try {
      disk.#pages = openUnlessForbidden(path, constants.O_RDWR);
      disk.#journal = openUnlessForbidden(journalOf(path), constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      disk.close();
      throw error;
    }
    return disk;
  }

  /** {@link forgetUnwritten} for a process that was killed before, and left a journal. Nobody in this one has the store open. */
  static forgetLeft(path: string): void {
    attempt(() => {
      if ((statSync(journalOf(path), { throwIfNoEntry: false })?.size ?? 0) === 0) return;
      forgetFile(path);
      forgetFile(journalOf(path));
    });
  }

  /** Why a file that SQLite has not opened, and which is there, cannot be opened for writing; undefined where it can. */
  static whyNotOpened(path: string): unknown {
    try {
      closeSync(openSync(path, constants.O_RDWR));
      return undefined;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return error;
    }
  }

  /** As {@link asStoreError}, with the system's reason where there is one. */
  explain(error: unknown): unknown {
    const failure = asStoreError(error);
    if (!(failure instanceof StoreError && error instanceof Database.SqliteError)) return failure;
    if (failure.failure === 'damaged') {
      const reason = this.whyNotRead();
      return reason === undefined ? failure : asFileError(reason, 'the disk of the store gives nothing');
    }
    if (failure.failure === 'read_only' && this.#whyReadOnly !== undefined) {
      const why = `${describeSystemError(this.#whyReadOnly)}; when it can be written, start the daemon anew`;
      return new StoreError('read_only', `the file was opened for reading only: ${why}`, { cause: error });
    }
    const trial = TRIALS.find(({ codes }) => codes.test(error.code));
    const reason = trial && whyNot(`${this.#path}${TRIED}`, trial.work);
    if (trial === undefined || reason === undefined) return failure;
    // That no file can be made is not why one is locked.
    if (trial === LOCKING && !(reason instanceof SystemError)) return failure;
    if (error.code === 'SQLITE_PROTOCOL') this.#lacksLocks = true;
    const inodes = trial === MAKING ? inodesOf(this.#path) : '';
    return asFileError(reason, `a file of the store cannot be ${trial.what}${inodes}`);
  }

  /**
   * Asks once more for locks where there were none, before SQLite does: it tries for ten seconds, and nobody is served meanwhile.
   *
   * @throws StoreError while there are none
   */
  requireLocks(): void {
    if (!this.#lacksLocks) return;
    const reason = whyNot(`${this.#path}${TRIED}`, LOCKING.work);
    this.#lacksLocks = reason instanceof SystemError;
    if (this.#lacksLocks) throw asFileError(reason, `a file of the store cannot be ${LOCKING.what}`);
  }

  /**
   * To be called where the disk did not take something, before it is written again. The kernel takes what it has of it in memory
   * for written; and on ext4, what is laid over that is not on the disk after a sync that succeeded: its place there stays one
   * that nothing was written to, and gives zeros once the kernel drops what it has in memory.
   */
  forgetUnwritten(): void {
    const file = this.#file;
    if (file !== undefined) attempt(() => forgetPages(file));
    forgetFile(journalOf(this.#path));
  }

  /** See `leftovers`. */
  pagesInJournal(): Iterable<number> {
    return this.#journal === undefined ? [] : pagesInJournal(this.#journal);
  }

  /** Throws once where the disk did not take something (fsync(2)). */
  sync(): void {
    const file = this.#pages ?? this.#file;
    if (file !== undefined) fsyncSync(file);
  }

  /**
   * Overwrites what SQLite has left between the cells of some pages; not in a file that cannot be written.
   *
   * @returns whether there was anything
   */
  overwriteLeftovers(pages: Iterable<number> | 'all'): boolean {
    if (this.#pages === undefined) return false;
    return overwriteLeftovers(this.#pages, pages === 'all' ? pagesInFile(this.#pages) : pages);
  }

  /** Undefined where the disk gives the start of the file, or cannot be asked for it. */
  whyNotRead(): unknown {
    if (this.#file === undefined) return undefined;
    // Such memory begins at a page.
    this.#block ??= new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer, 0, BLOCK_BYTES);
    try {
      readSync(this.#file, this.#block, 0, BLOCK_BYTES, 0);
      return undefined;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === undefined) throw error;
      return errno === osConstants.errno.EINVAL ? undefined : error;
    }
  }

  close(): void {
    for (const file of [this.#file, this.#pages, this.#journal]) if (file !== undefined) closeForGood(file);
    this.#file = undefined;
    this.#pages = undefined;
    this.#journal = undefined;
  }
}

/** Undefined where the system does not open it. */
function openIfAllowed(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Undefined where it is not there, or nobody lets one open it so; what passes (EMFILE) is thrown. */
function openUnlessForbidden(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags);
  } catch (error) {
    const { ENOENT, EACCES, EPERM, EROFS } = osConstants.errno;
    if ([ENOENT, EACCES, EPERM, EROFS].includes(errnoOf(error) ?? 0)) return undefined;
    throw error;
  }
}

/** Drops what the kernel has of a file in memory, where it lets one open it. */
function forgetFile(path: string): void {
  attempt(() => {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      forgetPages(file);
    } finally {
      closeForGood(file);
    }
  });
}

/** Why something cannot be done to a new file; undefined where it can, or the file is there and somebody else's. */
function whyNot(path: string, work: (file: number) => void): unknown {
  try {
    const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      // At once: one that a process leaves which is killed would be in the way of the next trial.
      rmSync(path);
      work(file);
    } finally {
      closeForGood(file);
    }
    return undefined;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return errno === osConstants.errno.EEXIST ? undefined : error;
  }
}

function writeBlock(file: number): void {
  writeSync(file, new Uint8Array(BLOCK_BYTES), 0, BLOCK_BYTES, 0);
  fsyncSync(file);
}

/** What else is to be said where its file system takes no more files, however much room there is: some have no such number. */
function inodesOf(path: string): string {
  try {
    const { files, ffree } = statfsSync(dirname(path));
    return files > 0 && ffree === 0 ? ' (no inodes are left)' : '';
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return '';
  }
}
