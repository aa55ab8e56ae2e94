import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

import { describeSystemError } from '../system-error.ts';
import { walOf } from './database-file.ts';
import { readWal } from './wal-pages.ts';
import type { WalPages } from './wal-pages.ts';
import { StoreError } from './sealed-store.ts';

/** The page size of every store: SQLite's default. */
export const PAGE_BYTES = 4096;

const NO_PAGES: ReadonlyMap<number, number> = new Map();

/** The pages of a store's file and its WAL, read without SQLite, which fails on a damaged file. */
export class PageFile {
  readonly pageCount: number;
  /** The WAL is not empty, and none of it or only a part can be read, or a part of it is damaged. */
  readonly isWalLost: boolean;
  readonly #file: number;
  readonly #walFile: number | undefined;
  readonly #wal: WalPages | undefined;
  readonly #unreadable: Set<number> = new Set();

  private constructor(file: number, walFile: number | undefined) {
    this.#file = file;
    this.#walFile = walFile;
    this.#wal = walFile === undefined ? undefined : readWal(walFile, PAGE_BYTES);
    const hasWal = walFile !== undefined && fstatSync(walFile).size > 0;
    this.isWalLost = hasWal && (this.#wal?.isReadable !== true || this.#wal.isDamaged);
    const inFile = Math.ceil(fstatSync(file).size / PAGE_BYTES);
    const { pageCount = inFile, offsets = NO_PAGES } = this.#wal ?? {};
    // The page count in the WAL may be forged, so it is limited to the pages that are there.
    this.pageCount = Math.min(
      pageCount,
      [...offsets.keys()].reduce((most, page) => Math.max(most, page), inFile),
    );
  }

  /** @throws StoreError `io` */
  static open(path: string): PageFile {
    const files: number[] = [];
    try {
      const file = openFile(path);
      if (file === undefined) throw new StoreError('io', `cannot read ${path}: it does not exist`);
      files.push(file);
      const wal = openFile(walOf(path));
      if (wal !== undefined) files.push(wal);
      return new PageFile(file, wal);
    } catch (error) {
      for (const file of files) closeSync(file);
      if (error instanceof StoreError) throw error;
      throw new StoreError('io', `cannot read ${path}: ${describeSystemError(error)}`, { cause: error });
    }
  }

  /** Number of pages that the disk failed to return. */
  get unreadable(): number {
    return this.#unreadable.size;
  }

  /**
   * Returns the last committed content of a page, by its number from 1. Bytes past the end of the file are zeros;
   * undefined if there is no such page, or the disk fails to return it.
   */
  read(page: number): Buffer | undefined {
    if (page < 1 || page > this.pageCount) return undefined;
    const bytes = Buffer.alloc(PAGE_BYTES);
    const inWal = this.#wal?.offsets.get(page);
    try {
      if (inWal === undefined || this.#walFile === undefined) {
        readSync(this.#file, bytes, 0, PAGE_BYTES, (page - 1) * PAGE_BYTES);
        return bytes;
      }
      if (readSync(this.#walFile, bytes, 0, PAGE_BYTES, inWal) === PAGE_BYTES) return bytes;
    } catch {
      // Unreadable sectors are what this class is for: the page is counted, and the others are still read.
    }
    this.#unreadable.add(page);
    return undefined;
  }

  close(): void {
    closeSync(this.#file);
    if (this.#walFile !== undefined) closeSync(this.#walFile);
  }
}

/** Opens a file for reading; undefined if it does not exist. */
function openFile(path: string): number | undefined {
  let file: number;
  try {
    // Without O_NONBLOCK, opening a FIFO would block for ever.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (fstatSync(file).isFile()) return file;
  closeSync(file);
  throw new StoreError('io', `cannot read ${path}: it is not a regular file`);
}
