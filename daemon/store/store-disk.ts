import { closeSync, constants, fsyncSync, openSync, readSync, rmSync, statSync, statfsSync, writeSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { dirname } from 'node:path';

import Database from 'better-sqlite3';

import { SystemError, dropCachedPages, lockRecords } from '../kernel/libc.ts';
import { describeSystemError, errnoOf } from '../system-error.ts';
import { attempt, closeForGood } from './copy-directory.ts';
import { walOf } from './database-file.ts';
import { asFileError, asSyncError } from './file-error.ts';
import { overwriteLeftovers, pagesInFile, pagesInWal } from './leftovers.ts';
import { StoreError } from './sealed-store.ts';
import { asStoreError } from './sqlite-connection.ts';

/** The part of WebAssembly that is used here; Node's type definitions do not declare it. */
declare const WebAssembly: { readonly Memory: new (pages: { initial: number }) => { readonly buffer: ArrayBuffer } };

/** Block size that fits any disk: reads with O_DIRECT must be of whole blocks, into memory that is aligned to them. */
const BLOCK_BYTES = 4096;

/** Suffix of a scratch file that is created to learn why the system refuses an operation, and removed at once. */
const SCRATCH_SUFFIX = '-tried';

/** An operation to try on a scratch file after SQLite failed with one of `codes`, which do not give the reason. */
interface Trial {
  readonly codes: RegExp;
  readonly what: string;
  readonly work: (file: number) => void;
}

const OPENING: Trial = { codes: /^SQLITE_CANTOPEN/, what: 'opened', work: () => undefined };

/** SQLite mistakes a file system without locks (ENOLCK) for another program that holds the lock. */
const LOCKING: Trial = { codes: /^SQLITE_(BUSY|PROTOCOL|IOERR_LOCK)/, what: 'locked', work: lockRecords };

const TRIALS: readonly Trial[] = [
  OPENING,
  // SQLite has no code for an exceeded quota (EDQUOT), and a backup reports only that one of the two files failed.
  { codes: /^SQLITE_IOERR(_WRITE|_FSYNC|_TRUNCATE)?$/, what: 'written', work: writeBlock },
  LOCKING,
];

/**
 * The disk of a store, accessed without SQLite to learn the system's reason for a failure. SQLite says less: it calls a
 * page damaged when the disk returns an error for it (EIO), and does not say why it cannot open a file.
 */
export class StoreDisk {
  readonly #path: string;
  /** The error because of which SQLite opened the file read-only, and keeps it so. */
  readonly #whyReadOnly: unknown;
  #file: number | undefined;
  /** A second descriptor of the same file, for writing. */
  #pages: number | undefined;
  #wal: number | undefined;
  #block: Uint8Array | undefined;
  /** Set after SQLite gave up on a lock because the file system had none (ENOLCK). */
  #lacksLocks = false;

  private constructor(path: string, file: number | undefined, whyReadOnly?: unknown) {
    this.#path = path;
    this.#file = file;
    this.#whyReadOnly = whyReadOnly;
  }

  /** For a store that is not open: only tells why a file in its directory cannot be created, written or locked. */
  static of(path: string): StoreDisk {
    return new StoreDisk(path, undefined);
  }

  /**
   * For an open store, which must be closed before this object: closing any descriptor of the file releases SQLite's
   * locks on it (fcntl(2)). On a file system without O_DIRECT, read errors of the disk cannot be told from damaged
   * pages.
   *
   * @param whyReadOnly the result of {@link openError}
   */
  static open(path: string, whyReadOnly?: unknown): StoreDisk {
    const disk = new StoreDisk(path, openIfAllowed(path, constants.O_RDONLY | constants.O_DIRECT), whyReadOnly);
    try {
      disk.#pages = openUnlessForbidden(path, constants.O_RDWR);
      disk.#wal = openUnlessForbidden(walOf(path), constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      disk.close();
      throw error;
    }
    return disk;
  }

  /**
   * Does what {@link dropPageCache} does, for a WAL that a killed process left behind, and syncs it first: before the
   * next commit is appended, those in the WAL must be on the disk, see `isWalDamaged`. The store must not be open in this
   * process.
   *
   * @throws StoreError `io` if the WAL cannot be synced. The cached pages are dropped all the same: an fsync reports a
   *   failed write only once, so after the next one, what is on the disk must be what is read
   */
  static dropPageCacheBeforeOpen(path: string): void {
    let failure: unknown;
    attempt(() => {
      if ((statSync(walOf(path), { throwIfNoEntry: false })?.size ?? 0) === 0) return;
      dropPageCacheOf(path);
      failure = syncAndDropPageCacheOf(walOf(path));
    });
    if (failure === undefined) return;
    throw asSyncError(asFileError(failure, 'the write-ahead log (-wal) that the last daemon left cannot be synced'));
  }

  /** Returns why an existing file that SQLite does not have open cannot be opened for writing; undefined if it can. */
  static openError(path: string): unknown {
    try {
      closeSync(openSync(path, constants.O_RDWR));
      return undefined;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return error;
    }
  }

  /** Converts an error as {@link asStoreError} does, and adds the system's reason if there is one. */
  explain(error: unknown): unknown {
    const failure = asStoreError(error);
    if (!(failure instanceof StoreError && error instanceof Database.SqliteError)) return failure;
    if (failure.failure === 'damaged') {
      const reason = this.readError();
      return reason === undefined ? failure : asFileError(reason, 'the disk of the store cannot be read');
    }
    if (failure.failure === 'read_only' && this.#whyReadOnly !== undefined) {
      const why = `${describeSystemError(this.#whyReadOnly)}; restart the daemon once the file can be written`;
      return new StoreError('read_only', `the file was opened for reading only: ${why}`, { cause: error });
    }
    const trial = TRIALS.find(({ codes }) => codes.test(error.code));
    const reason = trial && errorOf(`${this.#path}${SCRATCH_SUFFIX}`, trial.work);
    if (trial === undefined || reason === undefined) return failure;
    // The scratch file could not be created, which is unrelated to the lock.
    if (trial === LOCKING && !(reason instanceof SystemError)) return failure;
    if (error.code === 'SQLITE_PROTOCOL') this.#lacksLocks = true;
    const inodes = trial === OPENING ? inodesOf(this.#path) : '';
    return asFileError(reason, `a file of the store cannot be ${trial.what}${inodes}`);
  }

  /**
   * Checks, if the file system had no locks before, whether it has any now. To be called before SQLite needs one:
   * SQLite retries for ten seconds, which blocks the event loop.
   *
   * @throws StoreError while the file system has no locks
   */
  requireLocks(): void {
    if (!this.#lacksLocks) return;
    const reason = errorOf(`${this.#path}${SCRATCH_SUFFIX}`, LOCKING.work);
    this.#lacksLocks = reason instanceof SystemError;
    if (this.#lacksLocks) throw asFileError(reason, `a file of the store cannot be ${LOCKING.what}`);
  }

  /**
   * Drops the kernel's cached pages of the file and its WAL. To be called after a failed write or sync, before anything
   * is written again: the kernel marks pages whose write failed as clean. And on ext4, new data written over such pages
   * is not on the disk even after a sync that succeeds: their extents stay "unwritten", and read as zeros once the
   * kernel drops the cached pages.
   */
  dropPageCache(): void {
    const file = this.#file;
    if (file !== undefined) attempt(() => dropCachedPages(file));
    dropPageCacheOf(walOf(this.#path));
  }

  /** Returns the numbers of the pages in the WAL, see `leftovers`. */
  pagesInWal(): Iterable<number> {
    return this.#wal === undefined ? [] : pagesInWal(this.#wal);
  }

  /** Syncs the file. A failed write is reported by one call only (fsync(2)). */
  sync(): void {
    const file = this.#pages ?? this.#file;
    if (file !== undefined) fsyncSync(file);
  }

  /**
   * Overwrites what SQLite left between the cells of some pages; does nothing if the file cannot be written.
   *
   * @returns whether there was anything to overwrite
   */
  overwriteLeftovers(pages: Iterable<number> | 'all'): boolean {
    if (this.#pages === undefined) return false;
    return overwriteLeftovers(this.#pages, pages === 'all' ? pagesInFile(this.#pages) : pages);
  }

  /**
   * Reads the first block of the file past the kernel's page cache (O_DIRECT).
   *
   * @returns the system's error; undefined if the disk returned the block, or the file system has no O_DIRECT
   */
  readError(): unknown {
    if (this.#file === undefined) return undefined;
    // WebAssembly memory is page-aligned.
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
    for (const file of [this.#file, this.#pages, this.#wal]) if (file !== undefined) closeForGood(file);
    this.#file = undefined;
    this.#pages = undefined;
    this.#wal = undefined;
  }
}

/** Opens a file; undefined if the system refuses for whatever reason. */
function openIfAllowed(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

/** Opens a file; undefined if it does not exist or is not permitted. Transient errors (EMFILE) are thrown. */
function openUnlessForbidden(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags);
  } catch (error) {
    const { ENOENT, EACCES, EPERM, EROFS } = osConstants.errno;
    if ([ENOENT, EACCES, EPERM, EROFS].includes(errnoOf(error) ?? 0)) return undefined;
    throw error;
  }
}

/** Drops the kernel's cached pages of a file, if it can be opened. */
function dropPageCacheOf(path: string): void {
  attempt(() => {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      dropCachedPages(file);
    } finally {
      closeForGood(file);
    }
  });
}

/** Syncs a file before its cached pages are dropped. @returns the system's error if it cannot be opened or synced */
function syncAndDropPageCacheOf(path: string): unknown {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      fsyncSync(file);
      return undefined;
    } finally {
      attempt(() => dropCachedPages(file));
      closeForGood(file);
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return error;
  }
}

/** Returns the error of `work` on a new file; undefined if it succeeds, or a file of that name exists already. */
function errorOf(path: string, work: (file: number) => void): unknown {
  try {
    const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      // Unlink it first: a file left by a process that is killed would be in the way of the next trial.
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

/**
 * Returns an addition to the message for a file system that has run out of inodes, which can happen with space left.
 * Empty otherwise; some file systems have no such limit and report 0 inodes in total.
 */
function inodesOf(path: string): string {
  try {
    const { files, ffree } = statfsSync(dirname(path));
    return files > 0 && ffree === 0 ? ' (no inodes are left)' : '';
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return '';
  }
}
