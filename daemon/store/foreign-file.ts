import { closeSync, constants, lstatSync, openSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { basename } from 'node:path';

import type Database from 'better-sqlite3';

import { readDatabaseHeader, rollbackJournalOf, walOf } from './database-file.ts';
import type { DatabaseHeader } from './database-file.ts';
import { asFileError } from './file-error.ts';
import { APPLICATION_ID, FORMAT_VERSION, versionOf } from './migrations.ts';
import { FOREIGN_SCHEMA, hasOwnSchema } from './schema.ts';
import { PAGE_BYTES } from './page-file.ts';
import { StoreError } from './sealed-store.ts';
import { openUnhardened } from './sqlite-connection.ts';
import { isWalDamaged } from './wal-pages.ts';

/** Tells whether the header of a file identifies it as a store, which may be damaged. @throws StoreError `io` */
export function isStoreFile(path: string): boolean {
  const header = readDatabaseHeader(path);
  return typeof header === 'object' && header.applicationId === APPLICATION_ID;
}

/** @throws StoreError `newer` if the header of a file has a newer format version; `io` */
export function refuseNewerFile(path: string): void {
  const header = readDatabaseHeader(path);
  if (typeof header === 'object') refuseNewerVersion(header.userVersion);
}

/**
 * Accepts a store of a known version, an empty file, and a missing one. Changes nothing.
 *
 * @throws StoreError `damaged` for everything else; `newer`; `io`, also if the path is a symbolic link, or the rollback
 *   journal is not a regular file; `changed_by_other` if the rollback journal of another program lies beside the file
 */
export function refuseForeignFile(path: string): void {
  refuseLink(path);
  const journal = refuseIrregularJournal(path);
  const header = readDatabaseHeader(path);
  if (header === 'absent') return;
  if (header === 'foreign') {
    throw new StoreError('damaged', 'the file is not an SQLite database, or its first page is damaged');
  }
  refuseNewerVersion(header.userVersion);
  refuseForeignDatabase(header);
  if (header.hasWal && header.hasTables) refuseRollbackJournal(path, journal);
}

/**
 * Like {@link refuseForeignFile}, for the commits that are only in the WAL yet. Reading through the WAL changes neither
 * file.
 *
 * @throws StoreError `damaged`, `newer`, `io`, and SQLite's own errors
 */
export function refuseForeignWal(path: string): void {
  const wal = statSync(walOf(path), { throwIfNoEntry: false });
  if (wal?.isFIFO() === true)
    throw new StoreError('io', 'cannot read the write-ahead log (-wal) of the store: it is a FIFO');
  if ((wal?.size ?? 0) === 0) return;
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) === 0) {
    // SQLite would create a new database, and delete the WAL.
    throw new StoreError('damaged', 'the file is empty or gone, but its write-ahead log (-wal) is there');
  }
  refuseDamagedWal(path);
  const database = openUnhardened(path);
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
 * Refuses a WAL from which SQLite would drop commits that were acknowledged: opening the store would then empty it.
 *
 * @throws StoreError `damaged`, `io`
 */
function refuseDamagedWal(path: string): void {
  let isDamaged: boolean;
  try {
    const file = openSync(walOf(path), constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      isDamaged = isWalDamaged(file, PAGE_BYTES);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw asFileError(error, 'cannot read the write-ahead log (-wal) of the store');
  }
  if (!isDamaged) return;
  const consequence = 'acknowledged changes that come after the damage would be lost, so no file was touched';
  throw new StoreError('damaged', `the write-ahead log (-wal) is damaged, and ${consequence}`);
}

/**
 * Refuses a symbolic link in place of the file. SQLite keeps the WAL and its index beside the file that the link leads
 * to, this program looks for them beside the link.
 *
 * @throws StoreError `io`
 */
function refuseLink(path: string): void {
  if (statOf(path)?.isSymbolicLink() !== true) return;
  const instead = 'give the directory of the file as --state-dir, or mount it there (mount --bind)';
  throw new StoreError('io', `${basename(path)} is a symbolic link, which is not supported: ${instead}`);
}

/**
 * Refuses a rollback journal that is not a regular file: opening a FIFO, SQLite would block for ever.
 *
 * @returns undefined if there is none
 * @throws StoreError `io`
 */
function refuseIrregularJournal(path: string): Stats | undefined {
  const journal = rollbackJournalOf(path);
  const stat = statOf(journal);
  if (stat === undefined || stat.isFile()) return stat;
  throw new StoreError('io', `${basename(journal)} is not a regular file; move it elsewhere`);
}

/** Returns undefined if there is no such file; does not follow a symbolic link. @throws StoreError `io` */
function statOf(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    throw asFileError(error, `cannot read ${basename(path)}`);
  }
}

/**
 * Refuses a rollback journal beside the file. SQLite would copy its pages over those of the file before it reads
 * anything, wherever the journal came from. This program creates one only while the file has no tables yet.
 *
 * @throws StoreError `changed_by_other`
 */
function refuseRollbackJournal(path: string, journal: Stats | undefined): void {
  if ((journal?.size ?? 0) === 0) return;
  throw new StoreError(
    'changed_by_other',
    `${basename(rollbackJournalOf(path))} is another program's; move it elsewhere`,
  );
}

/** @throws StoreError `newer` if an open database is of a newer version */
export function refuseNewerDatabase(database: Database.Database): void {
  refuseNewerVersion(versionOf(database));
}

/** @throws StoreError `damaged` if the schema of an open store is not exactly the one that the migrations create */
export function refuseForeignSchema(database: Database.Database): void {
  if (!hasOwnSchema(database)) throw new StoreError('damaged', FOREIGN_SCHEMA);
}

function refuseForeignDatabase({ applicationId, userVersion, hasTables }: Omit<DatabaseHeader, 'hasWal'>): void {
  if (applicationId === APPLICATION_ID && userVersion > 0) return;
  // A database that is still empty has no application id: the first commit writes it.
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
