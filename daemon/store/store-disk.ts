import { closeSync, constants, openSync, readSync, rmSync, statfsSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { dirname } from 'node:path';

import Database from 'better-sqlite3';

import { errnoOf } from '../system-error.ts';
import { asFileError } from './file-error.ts';
import { StoreError } from './sealed-store.ts';
import { asStoreError } from './sqlite-connection.ts';

/** What is used of it here; the types of Node have none of it. */
declare const WebAssembly: { readonly Memory: new (pages: { initial: number }) => { readonly buffer: ArrayBuffer } };

/** Enough for any disk: what is read without the kernel's memory has to be whole blocks, into memory that is aligned to them. */
const BLOCK_BYTES = 4096;

/** How a file ends that is made to hear why none can be, and removed. */
const TRIED = '-tried';

/**
 * The disk of a store, asked without SQLite, which says less than the system: that a page is damaged where the disk gives
 * nothing any more (EIO), and that a file cannot be opened, for whatever reason.
 */
export class StoreDisk {
  readonly #path: string;
  #file: number | undefined;
  #block: Uint8Array | undefined;

  private constructor(path: string, file: number | undefined) {
    this.#path = path;
    this.#file = file;
  }

  /** Of a store that is not open: of its disk no more is asked than why there cannot be another file. */
  static of(path: string): StoreDisk {
    return new StoreDisk(path, undefined);
  }

  /**
   * Of a store that is open, and closed before this is: SQLite's locks (fcntl(2)) go when any descriptor of its file is
   * closed. Where the file system does not read past the kernel's memory, nothing is known of its disk.
   */
  static open(path: string): StoreDisk {
    try {
      return new StoreDisk(path, openSync(path, constants.O_RDONLY | constants.O_DIRECT));
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      return StoreDisk.of(path);
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
    if (!error.code.startsWith('SQLITE_CANTOPEN')) return failure;
    const reason = whyNotMade(`${this.#path}${TRIED}`);
    return reason === undefined
      ? failure
      : asFileError(reason, `a file of the store cannot be opened${inodesOf(this.#path)}`);
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
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

/** Why a file cannot be made; undefined where it can, or is there and somebody else's. */
function whyNotMade(path: string): unknown {
  try {
    closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600));
    rmSync(path);
    return undefined;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return errno === osConstants.errno.EEXIST ? undefined : error;
  }
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
