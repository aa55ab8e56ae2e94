import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';

import { describeSystemError } from '../system-error.ts';
import { StoreError } from './sealed-store.ts';

/** The header of the file, and that of its first page, which holds the schema. */
const HEADER_BYTES = 108;
const MAGIC = 'SQLite format 3\0';
/** How the file is written: 2 is by way of a WAL. */
const WRITE_VERSION_OFFSET = 18;
const WRITE_VERSION_WAL = 2;
const USER_VERSION_OFFSET = 60;
const APPLICATION_ID_OFFSET = 68;
const PAGE_TYPE_OFFSET = 100;
const CELL_COUNT_OFFSET = 103;
/** A page of a table that has no pages below it. */
const TABLE_LEAF = 13;

/** What an SQLite file says of itself at its start (https://sqlite.org/fileformat2.html). */
export interface DatabaseHeader {
  readonly applicationId: number;
  readonly userVersion: number;
  /** It is written by way of a journal of the kind that {@link journalOf} names. */
  readonly hasWal: boolean;
  /** Its schema has at least one entry. */
  readonly hasTables: boolean;
}

/**
 * Reads the header without SQLite, which would touch the file or its journal.
 *
 * @returns `absent` where there is no file or an empty one, `foreign` where it is none of SQLite's
 * @throws StoreError `io` where the file cannot be read
 */
export function readDatabaseHeader(path: string): DatabaseHeader | 'absent' | 'foreign' {
  const header = readStart(path);
  if (header === undefined || header.length === 0) return 'absent';
  if (header.length < HEADER_BYTES || header.toString('latin1', 0, MAGIC.length) !== MAGIC) return 'foreign';
  return {
    applicationId: header.readUInt32BE(APPLICATION_ID_OFFSET),
    hasWal: header.readUInt8(WRITE_VERSION_OFFSET) === WRITE_VERSION_WAL,
    userVersion: header.readUInt32BE(USER_VERSION_OFFSET),
    hasTables: header.readUInt8(PAGE_TYPE_OFFSET) !== TABLE_LEAF || header.readUInt16BE(CELL_COUNT_OFFSET) !== 0,
  };
}

/** Where SQLite keeps the journal (WAL) of a file. */
export function journalOf(path: string): string {
  return `${path}-wal`;
}

/** Where SQLite keeps the index of the journal, which it has in memory as it is in the file. */
export function journalIndexOf(path: string): string {
  return `${path}-shm`;
}

/** Where SQLite keeps the journal of a file that has none of the other kind: pages as they were, which it puts back at once. */
export function rollbackJournalOf(path: string): string {
  return `${path}-journal`;
}

/** Tells a file from another one that has its path now, as `device.inode`; undefined where there is none. */
export function identityOf(path: string): string | undefined {
  return lookAt(path)?.identity;
}

/** Which file a path leads to, see {@link identityOf}, and what changes with each write to it; undefined where there is none. */
export function lookAt(path: string): { readonly identity: string; readonly written: string } | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat && { identity: `${stat.dev}.${stat.ino}`, written: `${stat.size}.${stat.mtimeNs}` };
}

/** Up to {@link HEADER_BYTES}; undefined where there is no file. */
function readStart(path: string): Buffer | undefined {
  const start = Buffer.alloc(HEADER_BYTES);
  try {
    // One that is a FIFO would be waited for without end.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (fstatSync(file).isFIFO()) throw new StoreError('io', 'cannot read the store: it is a FIFO');
      return start.subarray(0, readSync(file, start, 0, HEADER_BYTES, 0));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof StoreError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StoreError('io', `cannot read the store: ${describeSystemError(error)}`, { cause: error });
  }
}
