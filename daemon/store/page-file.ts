import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';

import { describeSystemError } from '../system-error.ts';
import { journalOf } from './database-file.ts';
import { readJournal } from './journal-pages.ts';
import type { JournalPages } from './journal-pages.ts';
import { StoreError } from './sealed-store.ts';

/** SQLite's default, which every store is made with. */
export const PAGE_BYTES = 4096;

const NO_PAGES: ReadonlyMap<number, number> = new Map();

/** The pages of a store's file and its journal, read without SQLite, which gives up on a damaged file. */
export class PageFile {
  readonly pageCount: number;
  /** There is a journal with something in it, of which nothing, or not all, can be read. */
  readonly isJournalLost: boolean;
  readonly #file: number;
  readonly #journalFile: number | undefined;
  readonly #journal: JournalPages | undefined;
  readonly #unreadable: Set<number> = new Set();

  private constructor(file: number, journalFile: number | undefined) {
    this.#file = file;
    this.#journalFile = journalFile;
    this.#journal = journalFile === undefined ? undefined : readJournal(journalFile, PAGE_BYTES);
    const hasJournal = journalFile !== undefined && fstatSync(journalFile).size > 0;
    this.isJournalLost = hasJournal && this.#journal?.isReadable !== true;
    const inFile = Math.ceil(fstatSync(file).size / PAGE_BYTES);
    const { pageCount = inFile, offsets = NO_PAGES } = this.#journal ?? {};
    // The number in the journal may be anybody's.
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
      if (file === undefined) throw new StoreError('io', `cannot read ${path}: it is not there`);
      files.push(file);
      const journal = openFile(journalOf(path));
      if (journal !== undefined) files.push(journal);
      return new PageFile(file, journal);
    } catch (error) {
      for (const file of files) closeSync(file);
      if (error instanceof StoreError) throw error;
      throw new StoreError('io', `cannot read ${path}: ${describeSystemError(error)}`, { cause: error });
    }
  }

  /** Pages that the disk did not give when they were asked for. */
  get unreadable(): number {
    return this.#unreadable.size;
  }

  /** A page as it was committed last, by its number, from 1; zeros where the file is cut off; undefined where there is none. */
  read(page: number): Buffer | undefined {
    if (page < 1 || page > this.pageCount) return undefined;
    const bytes = Buffer.alloc(PAGE_BYTES);
    const inJournal = this.#journal?.offsets.get(page);
    try {
      if (inJournal === undefined || this.#journalFile === undefined) {
        readSync(this.#file, bytes, 0, PAGE_BYTES, (page - 1) * PAGE_BYTES);
        return bytes;
      }
      if (readSync(this.#journalFile, bytes, 0, PAGE_BYTES, inJournal) === PAGE_BYTES) return bytes;
    } catch {
      // A sector that the disk cannot read is what this is for: the others are asked for all the same.
    }
    this.#unreadable.add(page);
    return undefined;
  }

  close(): void {
    closeSync(this.#file);
    if (this.#journalFile !== undefined) closeSync(this.#journalFile);
  }
}

/** Undefined where there is none. */
function openFile(path: string): number | undefined {
  let file: number;
  try {
    // One that is a FIFO would be waited for without end.
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  if (fstatSync(file).isFile()) return file;
  closeSync(file);
  throw new StoreError('io', `cannot read ${path}: it is no file`);
}
