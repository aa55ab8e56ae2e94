import { accessSync, constants, statSync } from 'node:fs';
import { constants as osConstants } from 'node:os';

import type Database from 'better-sqlite3';

import { errnoOf } from '../system-error.ts';
import { attempt } from './copy-directory.ts';
import { identityOf, journalIndexOf, journalOf, lookAt } from './database-file.ts';
import { asFileError } from './file-error.ts';
import { refuseForeignFile, refuseForeignJournal, refuseForeignSchema, refuseNewerDatabase } from './foreign-file.ts';
import { inspectPages } from './inspect-pages.ts';
import { overwriteAllLeftoversInSlices } from './leftovers.ts';
import { migrate } from './migrations.ts';
import { describeForeign } from './schema.ts';
import { KIND, StoreError, fixedTag } from './sealed-store.ts';
import type { Kind, SealedRecord, SealedSnapshot, SealedStore, SealedTransaction } from './sealed-store.ts';
import { Snapshot, bytesIn } from './snapshot.ts';
import { asStoreError, bytesOf, openAsItIs, openReader, openWriter } from './sqlite-connection.ts';
import { StoreDisk } from './store-disk.ts';

/**
 * At how many pages in the journal they are moved to the file, which takes two more waits for the disk: 16 MiB. What was
 * deleted does not wait for that, see {@link SqliteStore.purge}.
 */
const JOURNAL_PAGES = 4096;
/** Pages that are copied between two turns of the event loop: about a millisecond of work. */
const COPY_PAGES = 100;
/** The pages of a larger file are checked by another process: SQLite looks at all of them in one call, here in some 30 ms. */
const CHECKED_HERE_BYTES_MAX: number = 16 * 1024 ** 2;

/**
 * Sealed records in one SQLite file.
 *
 * Two connections: one reads and writes, and while its transaction is open, the other reads what was committed, so that a
 * long one (a rekey) stops nobody from reading. Otherwise it is the first that reads: SQLite drops the pages that a
 * connection has in memory when another one commits. The caller sees to it that no second process opens the file (see
 * `DirectoryLock`), and sets the umask.
 */
export class SqliteStore implements SealedStore {
  readonly #path: string;
  readonly #fileIdentity: string | undefined;
  readonly #journalIdentity: string | undefined;
  readonly #disk: StoreDisk;
  readonly #writer: Database.Database;
  readonly #reader: Database.Database;
  readonly #writersSnapshot: Snapshot;
  readonly #readersSnapshot: Snapshot;
  readonly #put: Database.Statement<[Kind, Uint8Array, Uint8Array]>;
  readonly #delete: Database.Statement<[Kind, Uint8Array]>;
  readonly #head: Database.Statement<[Kind, Uint8Array]>;
  readonly #beginWrite: Database.Statement<[]>;
  readonly #endWrite: Database.Statement<[]>;
  #isWriting = false;
  /** As the file was when this program had written to it last. */
  #written: string | undefined;
  /** Pages that were moved to the file, and may have leftovers. */
  readonly #moved: Set<number> = new Set();
  /** It is not known which were: any may have. */
  #areAllMoved = false;

  private constructor(path: string, writer: Database.Database, reader: Database.Database, disk: StoreDisk) {
    this.#path = path;
    const file = lookAt(path);
    this.#fileIdentity = file?.identity;
    this.#written = file?.written;
    this.#journalIdentity = identityOf(journalOf(path));
    this.#disk = disk;
    this.#writer = writer;
    this.#reader = reader;
    this.#writersSnapshot = new Snapshot(writer, this.#explain, this.#requireIndex);
    this.#readersSnapshot = new Snapshot(reader, this.#explain, this.#requireIndex);
    this.#head = writer.prepare<[Kind, Uint8Array]>('SELECT body FROM record WHERE kind = ? AND tag = ?').pluck();
    this.#beginWrite = writer.prepare('BEGIN IMMEDIATE');
    this.#endWrite = writer.prepare('COMMIT');
    this.#put = writer.prepare('INSERT OR REPLACE INTO record (kind, tag, body) VALUES (?, ?, ?)');
    this.#delete = writer.prepare('DELETE FROM record WHERE kind = ? AND tag = ?');
  }

  /**
   * Opens the file, or makes it where there is none.
   *
   * @throws StoreError before a byte of it was changed, where it is no store, or one of a newer version
   */
  static open(path: string): SqliteStore {
    refuseForeignFile(path);
    StoreDisk.forgetLeft(path);
    try {
      refuseForeignJournal(path);
      const reader = readerOfJournal(path);
      try {
        return SqliteStore.#open(path).#checkedForWriting();
      } catch (error) {
        if (!isReadOnly(error)) throw error;
        // Where the system did not open the file for writing (for want of descriptors, say), SQLite has opened it for reading
        // without a word, and would stay so. If it may still not be written, then it is the file or its disk.
        return SqliteStore.#open(path, StoreDisk.whyNotOpened(path));
      } finally {
        reader?.close();
      }
    } catch (error) {
      throw StoreDisk.of(path).explain(error);
    }
  }

  static #open(path: string, whyReadOnly?: unknown): SqliteStore {
    const writer = openWriter(path);
    let reader: Database.Database | undefined;
    let disk: StoreDisk | undefined;
    try {
      refuseNewerDatabase(writer);
      writer.pragma('journal_mode = WAL');
      writer.pragma('synchronous = FULL');
      writer.pragma('secure_delete = ON');
      writer.pragma(`wal_autocheckpoint = ${JOURNAL_PAGES}`);
      migrate(writer);
      refuseForeignSchema(writer);
      reader = openReader(path);
      disk = StoreDisk.open(path, whyReadOnly);
      return new SqliteStore(path, writer, reader, disk);
    } catch (error) {
      writer.close();
      reader?.close();
      disk?.close();
      throw error;
    }
  }

  /** Closes what cannot be written. @throws StoreError `read_only` */
  #checkedForWriting(): this {
    try {
      // A transaction alone does not tell: SQLite begins one for reading in its place.
      this.#writer.exec('DELETE FROM record WHERE 0');
    } catch (error) {
      // Another program may be writing; that passes.
      if (!isReadOnly(error)) return this;
      this.close();
      throw error;
    }
    return this;
  }

  get(kind: Kind, tag: Uint8Array): Uint8Array | undefined {
    return this.#snapshot.get(kind, tag);
  }

  list(kind: Kind, after: Uint8Array | undefined, limit: number): SealedRecord[] {
    return this.#snapshot.list(kind, after, limit);
  }

  begin(expectedHead: Uint8Array | undefined): SealedTransaction {
    return this.#explained(() => {
      // Whoever reads may go on in the transaction that is open.
      this.#requireIndex();
      // What is written to a file that was deleted, or that a copy was put in the place of, is gone with the process.
      this.#writersSnapshot.leave();
      this.#requireOwnFile();
      this.#beginWrite.run();
      this.#isWriting = true;
      try {
        this.#requireHead(expectedHead);
      } catch (error) {
        this.#rollback();
        throw error;
      }
      return {
        put: ({ kind, tag, body }) => this.#explained(() => void this.#saved(() => this.#put.run(kind, tag, body))),
        delete: (kind, tag) => this.#explained(() => void this.#saved(() => this.#delete.run(kind, tag))),
        commit: (isPurged = false) => this.#explained(() => (isPurged ? this.#commitOnly() : this.#commit())),
        rollback: () => this.#rollback(),
      };
    });
  }

  openSnapshot(): SealedSnapshot {
    return this.#explained(() => {
      this.#requireIndex();
      this.#requireOwnFile();
      const database = openReader(this.#path);
      try {
        const snapshot = new Snapshot(database, this.#explain, this.#requireIndex);
        // It is taken by the first read.
        snapshot.get(KIND.head, fixedTag('head'));
        return {
          get: (kind, tag) => snapshot.get(kind, tag),
          list: (kind, after, limit) => snapshot.list(kind, after, limit),
          close: () => void database.close(),
        };
      } catch (error) {
        database.close();
        throw error;
      }
    });
  }

  purge(): void {
    this.#requireIndex();
    this.#leaveSnapshots();
    const isDone = this.#explained(() => this.#saved(() => this.#emptyJournal()));
    this.#noteWritten();
    if (!isDone) throw new StoreError('changed_by_other', 'another program reads the store');
  }

  /** @returns whether nothing is left in it */
  #emptyJournal(): boolean {
    const isMoved = (mode: 'FULL' | 'TRUNCATE'): boolean => {
      const [done] = this.#writer.pragma(`wal_checkpoint(${mode})`) as { busy: number }[];
      return done?.busy === 0;
    };
    const isAllMoved = isMoved('FULL');
    this.#noteMoved();
    if (!isAllMoved) return false;
    // While the journal still has the pages: where the process is killed before it is empty, all of it is done again.
    if (this.#overwriteLeftovers()) this.#disk.sync();
    this.#forgetMoved();
    return isMoved('TRUNCATE');
  }

  /** At once after they were moved: the next commit may begin the journal anew, and their numbers are gone. */
  #noteMoved(): void {
    try {
      for (const page of this.#disk.pagesInJournal()) this.#moved.add(page);
    } catch (error) {
      this.#areAllMoved = true;
      throw error;
    }
  }

  #forgetMoved(): void {
    this.#moved.clear();
    this.#areAllMoved = false;
  }

  /** @returns whether there were any */
  #overwriteLeftovers(): boolean {
    if (!this.#disk.overwriteLeftovers(this.#areAllMoved ? 'all' : this.#moved)) return false;
    this.#forgetPages();
    return true;
  }

  async findPageDamage(): Promise<string[]> {
    try {
      this.#requireIndex();
      // What is told is what lies on the disk, and not what was read from it some time ago.
      this.#leaveSnapshots();
      this.#forgetPages();
      if (this.copyBytes() > CHECKED_HERE_BYTES_MAX) return await inspectPages(this.#path, Number.POSITIVE_INFINITY);
      const damage = this.#lookAtPages();
      // As in a snapshot: a page that the disk did not give is none that is damaged, if it gives it now.
      return damage.length === 0 ? damage : this.#lookAtPages();
    } catch (error) {
      const failure = this.#explain(error);
      if (failure instanceof StoreError && failure.failure === 'damaged') return [failure.message];
      throw failure;
    }
  }

  #lookAtPages(): string[] {
    const foreign = describeForeign(this.#reader);
    if (foreign !== undefined) return [foreign];
    const found = this.#reader.pragma('integrity_check(20)') as { integrity_check: string }[];
    return found.map((row) => row.integrity_check).filter((line) => line !== 'ok');
  }

  copyBytes(): number {
    this.#requireIndex();
    return this.#explained(() => bytesOf(this.#reader));
  }

  async copyTo(path: string): Promise<void> {
    this.#explained(() => {
      this.#requireIndex();
      this.#requireOwnFile();
    });
    // A connection of its own, with one snapshot from the first page to the last: the copy need not begin anew when
    // something is committed meanwhile, and has nothing of what is not committed yet.
    const source = this.#explained(() => openAsItIs(this.#path));
    try {
      source.exec('BEGIN');
      source.prepare('SELECT 1 FROM record LIMIT 1').get();
      const { totalPages } = await source.backup(path, { progress: () => COPY_PAGES });
      // Where SQLite does not get its lock on the copy (SQLITE_BUSY, be it for ENOLCK), better-sqlite3 says that it is made.
      if (totalPages === 0) throw new StoreError('io', 'the storage failed: the copy cannot be locked');
      // Its pages are those of the journal too, from which nothing was purged while somebody else reads.
      await overwriteAllLeftoversInSlices(path);
    } catch (error) {
      throw this.#explain(error);
    } finally {
      source.close();
    }
  }

  close(): void {
    // As it is closed, SQLite moves what is in the journal, leftovers and all, unless the last connection can only read. What
    // cannot be purged stays in the journal for the next daemon.
    const isPurged = this.#isPurgedForGood();
    for (const connection of isPurged ? [this.#reader, this.#writer] : [this.#writer, this.#reader]) connection.close();
    this.#disk.close();
  }

  #isPurgedForGood(): boolean {
    try {
      this.#requireIndex();
      this.#leaveSnapshots();
      return this.#emptyJournal();
    } catch {
      return false;
    }
  }

  readonly #explain = (error: unknown): unknown => this.#disk.explain(error);

  #explained<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.#explain(error);
    }
  }

  get #snapshot(): Snapshot {
    return this.#isWriting ? this.#readersSnapshot : this.#writersSnapshot;
  }

  #leaveSnapshots(): void {
    // The writer's own transaction is none that is left here.
    if (!this.#isWriting) this.#writersSnapshot.leave();
    this.#readersSnapshot.leave();
  }

  /**
   * SQLite writes to the index as to its own memory: where the file must not be written any more (chattr(1), +i), that ends
   * the process. One that has no such file, or a file system that is read-only, is SQLite's to tell.
   */
  readonly #requireIndex = (): void => {
    this.#disk.requireLocks();
    try {
      accessSync(journalIndexOf(this.#path), constants.W_OK);
    } catch (error) {
      if (errnoOf(error) === osConstants.errno.EPERM) {
        throw asFileError(error, 'the index of the journal (-shm) cannot be written');
      }
    }
  };

  #requireOwnFile(): void {
    const file = lookAt(this.#path);
    if (file?.identity !== this.#fileIdentity) {
      throw new StoreError('changed_by_other', 'the file was deleted or replaced by another program');
    }
    if (file?.written !== this.#written) {
      // Its journal may have been moved to it. If it was overwritten with a copy, that shows in the head, once that is read anew.
      this.#forgetPages();
      this.#written = file?.written;
    }
    // SQLite keeps the journal from its first connection to its last, and writes on where nobody would find it.
    const journalIdentity = identityOf(journalOf(this.#path));
    if (journalIdentity === this.#journalIdentity) return;
    if (journalIdentity === undefined) this.purge();
    throw new StoreError('changed_by_other', 'the journal was deleted or replaced by another program');
  }

  /** What was written stays written where the system does not say how the file is now: before the next change, it is read anew. */
  #noteWritten(): void {
    try {
      this.#written = lookAt(this.#path)?.written;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      this.#written = undefined;
    }
  }

  /** What is read next comes from the disk. */
  #forgetPages(): void {
    for (const connection of [this.#writer, this.#reader]) connection.pragma('shrink_memory');
  }

  #requireHead(expectedHead: Uint8Array | undefined): void {
    const head = this.#head.get(KIND.head, fixedTag('head'));
    if (equalBytes(head === undefined ? undefined : bytesIn(head), expectedHead)) return;
    throw new StoreError('changed_by_other', 'the store was changed by another program');
  }

  #commit(): void {
    const written = this.#written;
    try {
      this.#readersSnapshot.leave();
      this.#saved(() => this.#endWrite.run());
      this.#isWriting = false;
    } catch (error) {
      this.#rollback();
      throw error;
    }
    this.#noteWritten();
    // SQLite has moved the journal to the file, and does not tell how that went.
    if (this.#written !== written) attempt(() => this.#saved(() => this.#finishMoving()));
  }

  /** Runs what writes to the disk; after a failure, what is written next begins from what is there. */
  #saved<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      this.#disk.forgetUnwritten();
      throw error;
    }
  }

  #finishMoving(): void {
    try {
      this.#noteMoved();
      this.#overwriteLeftovers();
      this.#disk.sync();
      this.#forgetMoved();
    } finally {
      this.#noteWritten();
    }
  }

  /** Leaves in the journal what else would be moved to the file at once. */
  #commitOnly(): void {
    this.#writer.pragma('wal_autocheckpoint = 0');
    try {
      this.#commit();
    } finally {
      this.#writer.pragma(`wal_autocheckpoint = ${JOURNAL_PAGES}`);
    }
  }

  /** SQLite ends a transaction by itself after some errors (a full disk among them), so there may be none left. */
  #rollback(): void {
    this.#isWriting = false;
    if (this.#writer.inTransaction) this.#writer.exec('ROLLBACK');
  }
}

/** Keeps a journal, as `SqliteStore.close` does, where the store cannot be opened; undefined where there is nothing in it. */
function readerOfJournal(path: string): Database.Database | undefined {
  if ((statSync(journalOf(path), { throwIfNoEntry: false })?.size ?? 0) === 0) return undefined;
  const reader = openAsItIs(path);
  try {
    bytesOf(reader);
    return reader;
  } catch (error) {
    reader.close();
    throw error;
  }
}

function isReadOnly(error: unknown): boolean {
  const failure = asStoreError(error);
  return failure instanceof StoreError && failure.failure === 'read_only';
}

function equalBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}
