import Database from 'better-sqlite3';

import { asFileError, describeFileLimit } from './file-error.ts';
import { StoreError } from './sealed-store.ts';

/**
 * Page caches of the two connections, in KiB. The first is the one that counts: tags are hashes, so that a commit of many
 * credentials touches as many pages, and a page that does not stay until the commit is written twice.
 */
const WRITER_CACHE_KIBIBYTES = 2048;
const READER_CACHE_KIBIBYTES = 256;
/** How long another program that has the file open (a backup) may hold up this one, which does nothing else meanwhile. */
const BUSY_TIMEOUT_MS = 200;

/** Opens the file as it is, or makes it where there is none. What is told to SQLite here changes nothing in the file. */
export function openWriter(path: string): Database.Database {
  return hardened(open(path, { timeout: BUSY_TIMEOUT_MS }), WRITER_CACHE_KIBIBYTES);
}

/** Opens a file that is there, for reading. */
export function openReader(path: string): Database.Database {
  return hardened(open(path, { readonly: true, timeout: BUSY_TIMEOUT_MS }), READER_CACHE_KIBIBYTES);
}

/** Opens a file that is there, for reading it as it is: of a damaged or foreign one no more is looked at than has to be. */
export function openAsItIs(path: string): Database.Database {
  return open(path, { readonly: true, timeout: BUSY_TIMEOUT_MS });
}

/** Bytes of all pages of a file, those included that are in its journal. */
export function bytesOf(database: Database.Database): number {
  const bytes = database.prepare<[], number>('SELECT page_count * page_size FROM pragma_page_count, pragma_page_size');
  return bytes.pluck().get() ?? 0;
}

/** Runs what works with SQLite and its files, and throws what they refuse as a {@link StoreError}; everything else as it is. */
export function withStoreErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw asStoreError(error);
  }
}

/** What to throw in the place of an error: a {@link StoreError} for one of SQLite's (https://sqlite.org/rescode.html), or of the system's. */
export function asStoreError(error: unknown): unknown {
  if (!(error instanceof Database.SqliteError)) return asFileError(error, 'the storage failed');
  const { code } = error;
  const options = { cause: error };
  if (code === 'SQLITE_FULL') return new StoreError('full', 'the disk is full', options);
  if (code === 'SQLITE_IOERR_SHMSIZE') {
    return new StoreError('full', `the disk is full, or takes no more${describeFileLimit()}`, options);
  }
  if (code === 'SQLITE_IOERR_SHMMAP') {
    const what = 'the index of the journal (-shm) cannot be mapped into memory';
    return new StoreError('io', `${what}: not every file system can share it with a file`, options);
  }
  // Who only reads does not put back what such a journal has; who writes has looked for one before (`refuseForeignFile`).
  if (code === 'SQLITE_READONLY_ROLLBACK') {
    return new StoreError('changed_by_other', "a journal of another program's lies beside the file", options);
  }
  if (code.startsWith('SQLITE_READONLY')) return new StoreError('read_only', 'the file system is read-only', options);
  if (code === 'SQLITE_TOOBIG') {
    return new StoreError('damaged', 'a row of the store is larger than SQLite reads one', options);
  }
  if (code === 'SQLITE_CORRUPT' || code.startsWith('SQLITE_CORRUPT_') || code === 'SQLITE_NOTADB') {
    // It says the same where the disk did not give a page (EIO).
    return new StoreError('damaged', 'a page of the store is damaged, or cannot be read', options);
  }
  if (code.startsWith('SQLITE_BUSY'))
    return new StoreError('changed_by_other', 'another program uses the store', options);
  const limit = code === 'SQLITE_IOERR_WRITE' ? describeFileLimit() : '';
  return new StoreError('io', `the storage failed (${code})${limit}`, options);
}

function open(path: string, options: Database.Options): Database.Database {
  try {
    return new Database(path, options);
  } catch (error) {
    // It looks for the folder before SQLite does, and has no code for what it finds.
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
