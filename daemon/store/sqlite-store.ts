import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';

import Database from 'better-sqlite3';

import { describeSystemError } from '../system-error.ts';
import { inspectPages } from './inspect-pages.ts';
import { APPLICATION_ID, FORMAT_VERSION, migrate } from './migrations.ts';
import { hasOwnSchema } from './schema.ts';
import { KIND, StoreError, fixedTag } from './sealed-store.ts';
import type { Kind, SealedRecord, SealedSnapshot, SealedStore, SealedTransaction } from './sealed-store.ts';
import { Snapshot } from './snapshot.ts';

/**
 * Page caches of the two connections, in KiB. The first is the one that counts: tags are hashes, so that a commit of many
 * credentials touches as many pages, and a page that does not stay until the commit is written twice.
 */
const WRITER_CACHE_KIBIBYTES = 2048;
const READER_CACHE_KIBIBYTES = 256;
/**
 * At how many pages in the journal they are moved to the file, which takes two more waits for the disk: 16 MiB. What was
 * deleted does not wait for that, see {@link SqliteStore.purge}.
 */
const JOURNAL_PAGES = 4096;
/** How long another program that has the file open (a backup) may hold up this one, which does nothing else meanwhile. */
const BUSY_TIMEOUT_MS = 200;
/** Pages that are copied between two turns of the event loop: about a millisecond of work. */
const COPY_PAGES = 100;
/** The pages of a larger file are checked by another process: SQLite looks at all of them in one call, here in some 30 ms. */
const CHECKED_HERE_BYTES_MAX: number = 16 * 1024 ** 2;
/** The header of the file, and that of its first page, which holds the schema. */
const HEADER_BYTES = 108;
const HEADER_MAGIC = 'SQLite format 3\0';

/**
 * Sealed records in one SQLite file.
 *
 * Two connections: one reads and writes, and while its transaction is open, the other reads what was committed, so that a
 * long one (a rekey) stops nobody from reading. Otherwise it is the first that reads: SQLite drops the pages that a
 * connection has in memory when another one commits. The caller sees to it that no second process opens the file (see
 * `StoreLock`), and sets the umask.
 */
export class SqliteStore implements SealedStore {
  readonly #path: string;
  readonly #fileId: string | undefined;
  readonly #journalId: string | undefined;
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

  private constructor(path: string, writer: Database.Database, reader: Database.Database) {
    this.#path = path;
    this.#fileId = fileIdOf(path);
    this.#journalId = fileIdOf(journalOf(path));
    this.#writer = writer;
    this.#reader = reader;
    this.#writersSnapshot = new Snapshot(writer);
    this.#readersSnapshot = new Snapshot(reader);
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
    return withStoreErrors(() => {
      refuseForeignJournal(path);
      const writer = new Database(path, { timeout: BUSY_TIMEOUT_MS });
      try {
        refuseNewerVersion(writer.pragma('user_version', { simple: true }) as number);
        harden(writer, WRITER_CACHE_KIBIBYTES);
        writer.pragma('journal_mode = WAL');
        writer.pragma('synchronous = FULL');
        writer.pragma('secure_delete = ON');
        writer.pragma(`wal_autocheckpoint = ${JOURNAL_PAGES}`);
        migrate(writer);
        refuseForeignSchema(writer);
        const reader = new Database(path, { readonly: true, timeout: BUSY_TIMEOUT_MS });
        harden(reader, READER_CACHE_KIBIBYTES);
        return new SqliteStore(path, writer, reader);
      } catch (error) {
        writer.close();
        throw error;
      }
    });
  }

  /** Tells whether a file says of itself that it is a store, be it a damaged one. @throws StoreError */
  static isStore(path: string): boolean {
    const header = readHeader(path);
    return header !== undefined && isDatabase(header) && header.readUInt32BE(68) === APPLICATION_ID;
  }

  /** @throws StoreError `newer` where a file says of itself that it is a store of a newer version */
  static refuseNewer(path: string): void {
    const header = readHeader(path);
    if (header !== undefined && isDatabase(header)) refuseNewerVersion(header.readUInt32BE(60));
  }

  get(kind: Kind, tag: Uint8Array): Uint8Array | undefined {
    return getFrom(this.#snapshot, kind, tag);
  }

  list(kind: Kind, after: Uint8Array | undefined, limit: number): SealedRecord[] {
    return listFrom(this.#snapshot, kind, after, limit);
  }

  begin(expectedHead: Uint8Array | undefined): SealedTransaction {
    return withStoreErrors(() => {
      // What is written to a file that was deleted, or that a copy was put in the place of, is gone with the process.
      this.#requireOwnFile();
      this.#writersSnapshot.leave();
      this.#beginWrite.run();
      this.#isWriting = true;
      try {
        this.#requireHead(expectedHead);
      } catch (error) {
        this.#rollback();
        throw error;
      }
      return {
        put: ({ kind, tag, body }) => withStoreErrors(() => void this.#put.run(kind, tag, body)),
        delete: (kind, tag) => withStoreErrors(() => void this.#delete.run(kind, tag)),
        commit: (isPurged = false) => withStoreErrors(() => (isPurged ? this.#commitOnly() : this.#commit())),
        rollback: () => this.#rollback(),
      };
    });
  }

  openSnapshot(): SealedSnapshot {
    return withStoreErrors(() => {
      this.#requireOwnFile();
      const database = new Database(this.#path, { readonly: true, timeout: BUSY_TIMEOUT_MS });
      try {
        harden(database, READER_CACHE_KIBIBYTES);
        const snapshot = new Snapshot(database);
        // It is taken by the first read.
        snapshot.get(KIND.head, fixedTag('head'));
        return {
          get: (kind, tag) => getFrom(snapshot, kind, tag),
          list: (kind, after, limit) => listFrom(snapshot, kind, after, limit),
          close: () => void database.close(),
        };
      } catch (error) {
        database.close();
        throw error;
      }
    });
  }

  purge(): void {
    this.#leaveSnapshots();
    const [done] = withStoreErrors(() => this.#writer.pragma('wal_checkpoint(TRUNCATE)')) as { busy: number }[];
    if (done?.busy !== 0) throw new StoreError('changed_by_other', 'another program reads the store');
  }

  async findPageDamage(): Promise<string[]> {
    try {
      // What is told is what lies on the disk, and not what was read from it some time ago.
      this.#leaveSnapshots();
      for (const connection of [this.#writer, this.#reader]) connection.pragma('shrink_memory');
      if (this.copyBytes() > CHECKED_HERE_BYTES_MAX) return await inspectPages(this.#path, Number.POSITIVE_INFINITY);
      const found = this.#reader.pragma('integrity_check(20)') as { integrity_check: string }[];
      return found.map((row) => row.integrity_check).filter((line) => line !== 'ok');
    } catch (error) {
      return [error instanceof Error ? error.message : 'the file cannot be read'];
    }
  }

  copyBytes(): number {
    const pages = this.#reader.prepare<[], number>(
      'SELECT page_count * page_size FROM pragma_page_count, pragma_page_size',
    );
    return withStoreErrors(() => pages.pluck().get() ?? 0);
  }

  async copyTo(path: string): Promise<void> {
    withStoreErrors(() => this.#requireOwnFile());
    // A connection of its own, with one snapshot from the first page to the last: the copy need not begin anew when
    // something is committed meanwhile, and has nothing of what is not committed yet.
    const source = withStoreErrors(() => new Database(this.#path, { readonly: true, timeout: BUSY_TIMEOUT_MS }));
    try {
      source.exec('BEGIN');
      source.prepare('SELECT 1 FROM record LIMIT 1').get();
      await source.backup(path, { progress: () => COPY_PAGES });
    } catch (error) {
      throw error instanceof Database.SqliteError ? toStoreError(error) : error;
    } finally {
      source.close();
    }
  }

  close(): void {
    this.#reader.close();
    this.#writer.close();
  }

  get #snapshot(): Snapshot {
    return this.#isWriting ? this.#readersSnapshot : this.#writersSnapshot;
  }

  #leaveSnapshots(): void {
    // The writer's own transaction is none that is left here.
    if (!this.#isWriting) this.#writersSnapshot.leave();
    this.#readersSnapshot.leave();
  }

  #requireOwnFile(): void {
    if (fileIdOf(this.#path) !== this.#fileId) {
      throw new StoreError('changed_by_other', 'the file was deleted or replaced by another program');
    }
    // SQLite keeps the journal from its first connection to its last, and writes on where nobody would find it.
    const journalId = fileIdOf(journalOf(this.#path));
    if (journalId === this.#journalId) return;
    if (journalId === undefined) this.purge();
    throw new StoreError('changed_by_other', 'the journal was deleted or replaced by another program');
  }

  #requireHead(expectedHead: Uint8Array | undefined): void {
    const head = this.#head.get(KIND.head, fixedTag('head'));
    if (equalBytes(head === undefined ? undefined : bytesIn(head), expectedHead)) return;
    throw new StoreError('changed_by_other', 'the store was changed by another program');
  }

  #commit(): void {
    try {
      this.#readersSnapshot.leave();
      this.#endWrite.run();
      this.#isWriting = false;
    } catch (error) {
      this.#rollback();
      throw error;
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

function getFrom(snapshot: Snapshot, kind: Kind, tag: Uint8Array): Uint8Array | undefined {
  const body = withStoreErrors(() => snapshot.get(kind, tag));
  return body === undefined ? undefined : bytesIn(body);
}

function listFrom(snapshot: Snapshot, kind: Kind, after: Uint8Array | undefined, limit: number): SealedRecord[] {
  // A tag and one more zero is the first that sorts behind it; the first of all is the empty one, which nobody made.
  const from = after === undefined ? new Uint8Array(0) : Buffer.concat([after, Buffer.of(0)]);
  const rows = withStoreErrors(() => snapshot.list(kind, from, limit));
  return rows.map(({ tag, body }) => ({ kind, tag, body: bytesIn(body) }));
}

function harden(database: Database.Database, cacheKibibytes: number): void {
  database.pragma('trusted_schema = OFF');
  database.pragma('cell_size_check = ON');
  database.pragma('temp_store = MEMORY');
  database.pragma(`cache_size = -${cacheKibibytes}`);
}

/** Looks at the file's header with no help of SQLite, which would touch the file or its journal. */
function refuseForeignFile(path: string): void {
  const header = readHeader(path);
  if (header === undefined || header.length === 0) return;
  if (!isDatabase(header)) {
    throw new StoreError('damaged', 'the file is no SQLite database, or its first page is damaged');
  }
  const version = header.readUInt32BE(60);
  refuseNewerVersion(version);
  // The schema's page is a leaf of a table (13) without cells where there are no tables (sqlite.org/fileformat2.html).
  const hasTables = header.readUInt8(100) !== 13 || header.readUInt16BE(103) !== 0;
  refuseForeignDatabase(header.readUInt32BE(68), version, hasTables);
}

/** What there is of the header; undefined where there is no file. @throws StoreError */
function readHeader(path: string): Buffer | undefined {
  const header = Buffer.alloc(HEADER_BYTES);
  try {
    // One that is a FIFO would be waited for without end.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (fstatSync(file).isFIFO()) throw new StoreError('io', 'cannot read the store: it is a FIFO');
      return header.subarray(0, readSync(file, header, 0, HEADER_BYTES, 0));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof StoreError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StoreError('io', `cannot read the store: ${describeSystemError(error)}`, { cause: error });
  }
}

function isDatabase(header: Buffer): boolean {
  return header.length === HEADER_BYTES && header.toString('latin1', 0, HEADER_MAGIC.length) === HEADER_MAGIC;
}

/** The same for commits that are not in the file yet. Reading through the journal changes neither of the two. */
function refuseForeignJournal(path: string): void {
  const journal = statSync(journalOf(path), { throwIfNoEntry: false });
  if (journal?.isFIFO() === true) throw new StoreError('io', 'cannot read the journal of the store: it is a FIFO');
  if ((journal?.size ?? 0) === 0) return;
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0) {
    // SQLite would begin a new database, and drop the journal.
    throw new StoreError('damaged', 'the file is empty or gone, but its journal is there');
  }
  const database = new Database(path, { readonly: true });
  try {
    const version = database.pragma('user_version', { simple: true }) as number;
    refuseNewerVersion(version);
    const hasTables = database.prepare('SELECT 1 FROM sqlite_schema').get() !== undefined;
    refuseForeignDatabase(database.pragma('application_id', { simple: true }) as number, version, hasTables);
  } finally {
    database.close();
  }
}

/** A file that is still empty has no application id: the first commit writes it. */
function refuseForeignDatabase(applicationId: number, version: number, hasTables: boolean): void {
  if (applicationId === APPLICATION_ID) return;
  if (applicationId === 0 && version === 0 && !hasTables) return;
  throw new StoreError('damaged', 'the file is the database of another program');
}

function refuseForeignSchema(database: Database.Database): void {
  if (!hasOwnSchema(database))
    throw new StoreError('damaged', 'the file has a table or trigger that this program did not make');
}

function refuseNewerVersion(version: number): void {
  if (version <= FORMAT_VERSION) return;
  throw new StoreError(
    'newer',
    `the store has format ${version}, this program reads up to ${FORMAT_VERSION}; it was not touched: install the newer cio-credentiald that made it`,
  );
}

function journalOf(path: string): string {
  return `${path}-wal`;
}

function fileIdOf(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat && `${stat.dev}.${stat.ino}`;
}

/** See {@link Row}: what is no body becomes an empty one, which opens as little. */
function bytesIn(body: unknown): Uint8Array {
  return body instanceof Uint8Array ? body : new Uint8Array(0);
}

function equalBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

function withStoreErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof Database.SqliteError ? toStoreError(error) : error;
  }
}

/** https://sqlite.org/rescode.html */
function toStoreError(error: InstanceType<typeof Database.SqliteError>): StoreError {
  const { code } = error;
  const options = { cause: error };
  if (code === 'SQLITE_FULL' || code === 'SQLITE_IOERR_SHMSIZE')
    return new StoreError('full', 'the disk is full', options);
  if (code.startsWith('SQLITE_READONLY')) return new StoreError('read_only', 'the file system is read-only', options);
  if (code === 'SQLITE_CORRUPT' || code.startsWith('SQLITE_CORRUPT_') || code === 'SQLITE_NOTADB') {
    return new StoreError('damaged', 'a page of the store is damaged', options);
  }
  if (code.startsWith('SQLITE_BUSY'))
    return new StoreError('changed_by_other', 'another program uses the store', options);
  return new StoreError('io', `the storage failed (${code})`, options);
}
