import { statSync } from 'node:fs';
import { basename } from 'node:path';

import type Database from 'better-sqlite3';

import { journalOf, readDatabaseHeader, rollbackJournalOf } from './database-file.ts';
import type { DatabaseHeader } from './database-file.ts';
import { APPLICATION_ID, FORMAT_VERSION, versionOf } from './migrations.ts';
import { FOREIGN_SCHEMA, hasOwnSchema } from './schema.ts';
import { StoreError } from './sealed-store.ts';
import { openAsItIs } from './sqlite-connection.ts';

/** Tells whether a file says of itself that it is a store, be it a damaged one. @throws StoreError `io` */
export function isStoreFile(path: string): boolean {
  const header = readDatabaseHeader(path);
  return typeof header === 'object' && header.applicationId === APPLICATION_ID;
}

/** @throws StoreError `newer` where a file says of itself that it is a database of a newer version; `io` */
export function refuseNewerFile(path: string): void {
  const header = readDatabaseHeader(path);
  if (typeof header === 'object') refuseNewerVersion(header.userVersion);
}

/**
 * Lets through a store of a version that is known, an empty file, and none.
 *
 * @throws StoreError `damaged` for everything else, before a byte of it was changed; `newer`, `io`; `changed_by_other` where
 *   a journal lies beside it that is none of its own
 */
export function refuseForeignFile(path: string): void {
  const header = readDatabaseHeader(path);
  if (header === 'absent') return;
  if (header === 'foreign') {
    throw new StoreError('damaged', 'the file is no SQLite database, or its first page is damaged');
  }
  refuseNewerVersion(header.userVersion);
  refuseForeignDatabase(header);
  if (header.hasWal && header.hasTables) refuseRollbackJournal(path);
}

/**
 * The same for commits that are not in the file yet. Reading through the journal changes neither of the two.
 *
 * @throws StoreError `damaged`, `newer`, `io`, and SQLite's own errors
 */
export function refuseForeignJournal(path: string): void {
  const journal = statSync(journalOf(path), { throwIfNoEntry: false });
  if (journal?.isFIFO() === true) throw new StoreError('io', 'cannot read the journal of the store: it is a FIFO');
  if ((journal?.size ?? 0) === 0) return;
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0) {
    // SQLite would begin a new database, and drop the journal.
    throw new StoreError('damaged', 'the file is empty or gone, but its journal is there');
  }
  const database = openAsItIs(path);
  try {
    const userVersion = versionOf(database);
    refuseNewerVersion(userVersion);
    refuseForeignDatabase({
      applicationId: database.pragma('application_id', { simple: true }) as number,
      userVersion,
      hasTables: database.prepare('SELECT 1 FROM sqlite_schema').get() !== undefined,
    });
  } finally {
    database.close();
  }
}

/**
 * SQLite would write such a journal's pages over those of the file, wherever it came from, before it reads anything. This
 * program makes one only until there are tables.
 *
 * @throws StoreError `changed_by_other`
 */
function refuseRollbackJournal(path: string): void {
  const journal = rollbackJournalOf(path);
  if ((statSync(journal, { throwIfNoEntry: false })?.size ?? 0) === 0) return;
  throw new StoreError('changed_by_other', `${basename(journal)} is another program's; move it elsewhere`);
}

/** @throws StoreError `newer` where an open database is of a newer version */
export function refuseNewerDatabase(database: Database.Database): void {
  refuseNewerVersion(versionOf(database));
}

/** @throws StoreError `damaged` where an open store has more than the migrations make, or something else */
export function refuseForeignSchema(database: Database.Database): void {
  if (!hasOwnSchema(database)) throw new StoreError('damaged', FOREIGN_SCHEMA);
}

function refuseForeignDatabase({ applicationId, userVersion, hasTables }: Omit<DatabaseHeader, 'hasWal'>): void {
  if (applicationId === APPLICATION_ID && userVersion > 0) return;
  // A file that is still empty has no application id: the first commit writes it.
  if (applicationId === 0 && userVersion === 0 && !hasTables) return;
  const what =
    applicationId === APPLICATION_ID
      ? 'the header of the file is damaged'
      : 'the file is the database of another program';
  throw new StoreError('damaged', what);
}

function refuseNewerVersion(version: number): void {
  if (version <= FORMAT_VERSION) return;
  throw new StoreError(
    'newer',
    `the store has format ${version}, this program reads up to ${FORMAT_VERSION}; it was not touched: install the newer cio-credentiald that made it`,
  );
}
