import type Database from 'better-sqlite3';

import { errnoOf } from '../system-error.ts';
import type { StoreDisk } from './store-disk.ts';

/**
 * Checkpoints the WAL of a store, and overwrites the leftovers (see `leftovers`) in the pages that a checkpoint copied
 * to the database file.
 */
export class Checkpointer {
  readonly #writer: Database.Database;
  readonly #disk: StoreDisk;
  readonly #onOverwritten: () => void;
  /** Numbers of the pages that a checkpoint copied to the file and that may still contain leftovers. */
  readonly #pages: Set<number> = new Set();
  /** Set when it is not known which pages a checkpoint copied: any page may contain leftovers. */
  #arePagesUnknown = false;

  /**
   * @param writer the connection that runs the checkpoints
   * @param onOverwritten called after pages of the file were changed without SQLite, which may have them cached
   */
  constructor(writer: Database.Database, disk: StoreDisk, onOverwritten: () => void) {
    this.#writer = writer;
    this.#disk = disk;
    this.#onOverwritten = onOverwritten;
  }

  /**
   * Checkpoints the WAL, overwrites leftovers in the file, and truncates the WAL.
   *
   * @returns whether the WAL is empty now; false if another connection still reads from it
   */
  truncateWal(): boolean {
    const isComplete = this.#checkpoint('FULL');
    this.#notePages();
    if (!isComplete) return false;
    // Done while the WAL still has the pages: if the process is killed before the WAL is truncated, the next start
    // repeats all of it.
    if (this.#overwriteLeftovers()) this.#disk.sync();
    this.#forgetPages();
    return this.#checkpoint('TRUNCATE');
  }

  /** Completes a checkpoint that SQLite ran by itself: overwrites leftovers in the copied pages and syncs the file. */
  finish(): void {
    this.#notePages();
    this.#overwriteLeftovers();
    this.#disk.sync();
    this.#forgetPages();
  }

  #checkpoint(mode: 'FULL' | 'TRUNCATE'): boolean {
    const [done] = this.#writer.pragma(`wal_checkpoint(${mode})`) as { busy: number }[];
    return done?.busy === 0;
  }

  /**
   * Records which pages a checkpoint copied to the file. Runs right after the checkpoint: the next commit may restart
   * the WAL from its beginning and so overwrite the page numbers. If the disk does not return them, the WAL can be
   * emptied all the same: any page may contain leftovers then.
   */
  #notePages(): void {
    try {
      for (const page of this.#disk.pagesInWal()) this.#pages.add(page);
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      this.#arePagesUnknown = true;
    }
  }

  #forgetPages(): void {
    this.#pages.clear();
    this.#arePagesUnknown = false;
  }

  /** Overwrites leftovers in the pages that were copied to the file. @returns whether there were any */
  #overwriteLeftovers(): boolean {
    if (!this.#disk.overwriteLeftovers(this.#arePagesUnknown ? 'all' : this.#pages)) return false;
    this.#onOverwritten();
    return true;
  }
}
