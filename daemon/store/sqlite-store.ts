import { statSync } from 'node:fs';

import type Database from 'better-sqlite3';

import { Checkpointer } from './checkpointer.ts';
import { attempt } from './copy-directory.ts';
import { walOf } from './database-file.ts';
import { refuseForeignFile, refuseForeignWal, refuseForeignSchema, refuseNewerDatabase } from './foreign-file.ts';
import { inspectPages } from './inspect-pages.ts';
import { overwriteAllLeftoversInSlices } from './leftovers.ts';
import { migrate } from './migrations.ts';
import { describeForeign } from './schema.ts';
import { KIND, StoreError, fixedTag } from './sealed-store.ts';
import type { Kind, SealedRecord, SealedSnapshot, SealedStore, SealedTransaction } from './sealed-store.ts';
import { Snapshot, bytesIn } from './snapshot.ts';
import { asCommitError, asStoreError, bytesOf, openReader, openUnhardened, openWriter } from './sqlite-connection.ts';
import { StoreDisk } from './store-disk.ts';
import { StoreFiles } from './store-files.ts';

/**
 * Size of the WAL, in pages, at which a commit also runs a checkpoint, which takes two more fsyncs: 16 MiB. Deleted
 * data does not wait for that, see {@link SqliteStore.purge}.
 */
const CHECKPOINT_PAGES = 4096;
/** Pages copied per turn of the event loop: about a millisecond of work. */
const COPY_PAGES = 100;
/**
 * A larger file is checked by another process: SQLite checks all pages in one call, which blocks the event loop. At
 * this size the call takes some 30 ms.
 */
const CHECKED_HERE_BYTES_MAX: number = 16 * 1024 ** 2;

/**
 * Sealed records in one SQLite file.
 *
 * There are two connections. The writer reads and writes. While it has a transaction open, the reader reads the last
 * committed state, so that a long transaction (a rekey) does not block reads. At all other times the writer does the
 * reading too: SQLite drops a connection's page cache when another connection commits, but not when it commits itself.
 * The caller ensures that no second process opens the file (see `DirectoryLock`), and sets the umask.
 */
export class SqliteStore implements SealedStore {
  readonly #path: string;
  readonly #files: StoreFiles;
  readonly #disk: StoreDisk;
  readonly #checkpointer: Checkpointer;
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
  /** When {@link dropCaches} last dropped the caches, in milliseconds since the start of the process. */
  #droppedAt: number = Number.NEGATIVE_INFINITY;

  private constructor(path: string, writer: Database.Database, reader: Database.Database, disk: StoreDisk) {
    this.#path = path;
    this.#files = new StoreFiles(path);
    this.#disk = disk;
    this.#checkpointer = new Checkpointer(writer, disk, () => this.#dropSqliteCaches());
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
   * Opens the file, or creates it if there is none.
   *
   * @throws StoreError if the file is not a store, or one of a newer version, before a byte of it was changed
   */
  static open(path: string): SqliteStore {
    refuseForeignFile(path);
    StoreDisk.dropPageCacheBeforeOpen(path);
    try {
      refuseForeignWal(path);
      const reader = readerOfWal(path);
      try {
        return SqliteStore.#open(path).#checkedForWriting();
      } catch (error) {
        if (!isReadOnly(error)) throw error;
        // If the system cannot open the file for writing (out of file descriptors, say), SQLite silently opens it
        // read-only, and stays read-only. So try once more; if that fails too, the file or its disk is the reason.
        return SqliteStore.#open(path, StoreDisk.openError(path));
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
      writer.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
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

  /** Returns the store, or closes it if SQLite opened the file read-only. @throws StoreError `read_only` */
  #checkedForWriting(): this {
    try {
      // BEGIN IMMEDIATE would not show it: on a read-only file, SQLite begins a read transaction instead.
      this.#writer.exec('DELETE FROM record WHERE 0');
    } catch (error) {
      // Another program may hold the write lock for a moment, which is no reason to refuse the store.
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

  dropCaches(ageMs: number): boolean {
    const now = performance.now();
    if (now - this.#droppedAt < ageMs) return false;
    this.#droppedAt = now;
    this.#dropSqliteCaches();
    this.#disk.dropPageCache();
    return true;
  }

  begin(expectedHead: Uint8Array | undefined): SealedTransaction {
    return this.#explained(() => {
      // Checked before the snapshot ends: if this throws, readers can continue in the read transaction that is open.
      this.#requireIndex();
      this.#writersSnapshot.end();
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
        commit: (skipsCheckpoint = false) =>
          this.#explained(() => (skipsCheckpoint ? this.#commitWithoutCheckpoint() : this.#commit())),
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
        // SQLite takes the snapshot at the first read.
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
    this.#endSnapshots();
    const isDone = this.#explained(() => this.#saved(() => this.#checkpointer.truncateWal()));
    this.#files.noteWritten();
    if (!isDone) throw new StoreError('changed_by_other', 'another program reads the store');
  }

  async findPageDamage(): Promise<string[]> {
    try {
      this.#requireIndex();
      // Check what is on the disk, not pages that SQLite cached some time ago.
      this.#endSnapshots();
      this.#dropSqliteCaches();
      if (this.copyBytes() > CHECKED_HERE_BYTES_MAX) return await inspectPages(this.#path, Number.POSITIVE_INFINITY);
      const damage = this.#lookAtPages();
      // Check twice before reporting damage, as `Snapshot` does: SQLite also reports a page as damaged after a
      // transient read error.
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
    // A connection of its own, with one read transaction from the first page to the last: the copy does not restart
    // when something is committed meanwhile, and contains nothing uncommitted.
    const source = this.#explained(() => openUnhardened(this.#path));
    try {
      source.exec('BEGIN');
      source.prepare('SELECT 1 FROM record LIMIT 1').get();
      const { totalPages } = await source.backup(path, { progress: () => COPY_PAGES });
      // If SQLite cannot lock the copy (SQLITE_BUSY, which it also reports for ENOLCK), better-sqlite3 reports success.
      if (totalPages === 0) throw new StoreError('io', 'the storage failed: the copy cannot be locked');
      // The copy includes pages from the WAL, and those are not free of leftovers before a purge.
      await overwriteAllLeftoversInSlices(path);
    } catch (error) {
      throw this.#explain(error);
    } finally {
      source.close();
    }
  }

  close(): void {
    // When its last connection closes, SQLite checkpoints the WAL, leftovers included, unless that connection is
    // read-only. So if the WAL could not be purged, the reader closes last, and the WAL stays for the next daemon to
    // purge.
    const isPurged = this.#isPurgedForGood();
    for (const connection of isPurged ? [this.#reader, this.#writer] : [this.#writer, this.#reader]) connection.close();
    this.#disk.close();
  }

  #isPurgedForGood(): boolean {
    try {
      this.#requireIndex();
      this.#endSnapshots();
      return this.#checkpointer.truncateWal();
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

  #endSnapshots(): void {
    // While the writer has a write transaction open, it has no snapshot to end.
    if (!this.#isWriting) this.#writersSnapshot.end();
    this.#readersSnapshot.end();
  }

  readonly #requireIndex = (): void => {
    this.#disk.requireLocks();
    this.#files.requireIndex();
  };

  /** Throws if commits to the file, or to its WAL, would be lost when the process ends. */
  #requireOwnFile(): void {
    // Another program may only have checkpointed the WAL. If it overwrote the file with a copy, the head shows that, as
    // long as the head is read from the disk and not from SQLite's page cache.
    if (this.#files.noteOthersWrites()) this.#dropSqliteCaches();
    const wal = this.#files.wal();
    if (wal === 'in place') return;
    if (wal === 'deleted') this.purge();
    throw new StoreError('changed_by_other', 'the write-ahead log (-wal) was deleted or replaced by another program');
  }

  /** Drops SQLite's page caches, so that the next read comes from the file. */
  #dropSqliteCaches(): void {
    for (const connection of [this.#writer, this.#reader]) connection.pragma('shrink_memory');
  }

  #requireHead(expectedHead: Uint8Array | undefined): void {
    const head = this.#head.get(KIND.head, fixedTag('head'));
    if (equalBytes(head === undefined ? undefined : bytesIn(head), expectedHead)) return;
    throw new StoreError('changed_by_other', 'the store was changed by another program');
  }

  #commit(): void {
    try {
      this.#readersSnapshot.end();
      this.#saved(() => this.#endWrite.run());
      this.#isWriting = false;
    } catch (error) {
      this.#rollback();
      throw asCommitError(error, this.#explain);
    }
    // If the file has changed, SQLite ran an automatic checkpoint; it does not report whether that succeeded.
    if (this.#files.noteWritten()) attempt(() => this.#saved(() => this.#finishCheckpoint()));
  }

  /**
   * Runs `work`, which writes to the disk. After a failure, drops the kernel's cached pages, so that later writes start
   * from what is really on the disk.
   */
  #saved<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      this.#disk.dropPageCache();
      throw error;
    }
  }

  #finishCheckpoint(): void {
    try {
      this.#checkpointer.finish();
    } finally {
      this.#files.noteWritten();
    }
  }

  /** Commits without the automatic checkpoint that may follow a commit. */
  #commitWithoutCheckpoint(): void {
    this.#writer.pragma('wal_autocheckpoint = 0');
    try {
      this.#commit();
    } finally {
      this.#writer.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    }
  }

  /** Rolls back, if there is still a transaction: SQLite ends it itself after some errors, a full disk among them. */
  #rollback(): void {
    this.#isWriting = false;
    if (this.#writer.inTransaction) this.#writer.exec('ROLLBACK');
  }
}

/**
 * Opens a read-only connection if there is a WAL with something in it; undefined otherwise. While this connection is
 * open, closing a writer that failed to open the store does not checkpoint the WAL (compare `SqliteStore.close`).
 */
function readerOfWal(path: string): Database.Database | undefined {
  if ((statSync(walOf(path), { throwIfNoEntry: false })?.size ?? 0) === 0) return undefined;
  const reader = openUnhardened(path);
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
