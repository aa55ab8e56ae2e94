import Database from 'better-sqlite3';

import { asFileError, asSyncError, describeFileLimit } from './file-error.ts';
import { StoreError } from './sealed-store.ts';

/**
 * Page caches of the two connections, in KiB. The writer's is the important one: tags are hashes, so a commit of many
 * credentials touches as many pages, and a page that is evicted before the commit is written twice.
 */
const WRITER_CACHE_KIBIBYTES = 2048;
const READER_CACHE_KIBIBYTES = 256;
/** How long to wait for a lock of another program (a backup); the event loop is blocked meanwhile. */
const BUSY_TIMEOUT_MS = 200;

/** Opens the file for writing, or creates it. The pragmas that are set here change nothing in the file. */
export function openWriter(path: string): Database.Database {
  return hardened(open(path, { timeout: BUSY_TIMEOUT_MS }), WRITER_CACHE_KIBIBYTES);
}

/** Opens an existing file for reading. */
export function openReader(path: string): Database.Database {
  return hardened(open(path, { readonly: true, timeout: BUSY_TIMEOUT_MS }), READER_CACHE_KIBIBYTES);
}

/**
 * Opens an existing file for reading, and sets no pragmas: of a damaged or foreign file SQLite reads no more than it
 * must.
 */
export function openUnhardened(path: string): Database.Database {
  return open(path, { readonly: true, timeout: BUSY_TIMEOUT_MS });
}

/** Returns the total size of a file's pages in bytes, including pages that are only in the WAL. */
export function bytesOf(database: Database.Database): number {
  const bytes = database.prepare<[], number>('SELECT page_count * page_size FROM pragma_page_count, pragma_page_size');
  return bytes.pluck().get() ?? 0;
}

/** Runs `work`, and throws errors of SQLite and of the system as {@link StoreError}, and all others unchanged. */
export function withStoreErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asStoreError(error);
  }
}

/**
 * Returns what to throw instead of an error: a {@link StoreError} for an error of SQLite
 * (https://sqlite.org/rescode.html) or of the system, and any other unchanged.
 */
export function asStoreError(error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return asFileError(error, 'the storage failed');
  const { code } = error;
  const options = { cause: error };
  if (code === 'SQLITE_FULL') return new StoreError('full', 'the disk is full', options);
  if (code === 'SQLITE_IOERR_SHMSIZE') {
    return new StoreError('full', `the disk is full, or a file cannot grow${describeFileLimit()}`, options);
  }
  if (code === 'SQLITE_IOERR_SHMMAP') {
    const what = 'the WAL index (-shm) cannot be mapped into memory';
    return new StoreError('io', `${what}: not every file system supports shared mappings`, options);
  }
  // Only a read-only connection fails like this, as it cannot roll such a journal back. Before a writer is opened,
  // `refuseForeignFile` looks for one.
  if (code === 'SQLITE_READONLY_ROLLBACK') {
    return new StoreError('changed_by_other', "another program's rollback journal lies beside the file", options);
  }
  if (code.startsWith('SQLITE_READONLY')) return new StoreError('read_only', 'the file system is read-only', options);
  if (code === 'SQLITE_TOOBIG') {
    return new StoreError('damaged', 'a row of the store is larger than SQLite can read', options);
  }
  if (code === 'SQLITE_CORRUPT' || code.startsWith('SQLITE_CORRUPT_') || code === 'SQLITE_NOTADB') {
    // SQLite reports the same when the disk fails to return a page (EIO).
    return new StoreError('damaged', 'a page of the store is damaged, or cannot be read', options);
  }
  if (code.startsWith('SQLITE_BUSY'))
    return new StoreError('changed_by_other', 'another program uses the store', options);
  const limit = code === 'SQLITE_IOERR_WRITE' ? describeFileLimit() : '';
  return new StoreError('io', `the storage failed (${code})${limit}`, options);
}

/**
 * Returns what to throw instead of an error of COMMIT. When the WAL index (-shm) cannot grow, the commit is in the WAL
 * already, and on the disk: the next process would find it there. After a failed sync, that may be so. `full` would say
 * that nothing was written.
 *
 * @param explain returns the {@link StoreError} for an error of SQLite, with the system's reason
 */
export function asCommitError(error: unknown, explain: (error: unknown) => unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return error;
  if (error.code === 'SQLITE_IOERR_FSYNC') return asSyncError(explain(error));
  if (error.code !== 'SQLITE_IOERR_SHMSIZE') return error;
  const what = 'the WAL index (-shm) cannot grow: the disk is full, or a file has reached its limit';
  return new StoreError('io', `${what}${describeFileLimit()}`, { cause: error });
}

function open(path: string, options: Database.Options): Database.Database {
  try {
    return new Database(path, options);
  } catch (error) {
    // better-sqlite3 checks for the folder itself, and throws a TypeError without a code if it is missing.
    if (!(error instanceof TypeError)) throw error;
    throw new StoreError('io', 'the storage failed: its folder cannot be reached', { cause: error });
  }
}

function hardened(database: Database.Database, cacheKibibytes: number): Database.Database {
  try {
    database.pragma('trusted_schema = OFF');
    database.pragma('cell_size_check = ON');
    database.pragma('temp_store = MEMORY');
    database.pragma(`cache_size = -${cacheKibibytes}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
