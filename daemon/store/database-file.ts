import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';

import { describeSystemError } from '../system-error.ts';
import { StoreError } from './sealed-store.ts';

/** The database header and the b-tree header of the first page, which holds the schema. */
const HEADER_BYTES = 108;
const MAGIC = 'SQLite format 3\0';
/** File format write version: 2 is WAL mode. */
const WRITE_VERSION_OFFSET = 18;
const WRITE_VERSION_WAL = 2;
const USER_VERSION_OFFSET = 60;
const APPLICATION_ID_OFFSET = 68;
const PAGE_TYPE_OFFSET = 100;
const CELL_COUNT_OFFSET = 103;
/** Page type of a leaf of a table b-tree. */
const TABLE_LEAF = 13;

/** Fields from the header of an SQLite file (https://sqlite.org/fileformat2.html). */
export interface DatabaseHeader {
  readonly applicationId: number;
  readonly userVersion: number;
  /** The file is in WAL mode, see {@link walOf}. */
  readonly hasWal: boolean;
  /** The schema has at least one entry. */
  readonly hasTables: boolean;
}

/**
 * Reads the header without SQLite, which could change the file or its WAL.
 *
 * @returns `absent` if the file is missing or empty, `foreign` if it is not an SQLite file
 * @throws StoreError `io` if the file cannot be read
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

/** Returns the path of a file's WAL. */
export function walOf(path: string): string {
  return `${path}-wal`;
}

/** Returns the path of a file's WAL index, which SQLite maps into memory. */
export function walIndexOf(path: string): string {
  return `${path}-shm`;
}

/**
 * Returns the path of a file's rollback journal, which SQLite uses outside of WAL mode. It has the original pages,
 * which SQLite copies back as soon as it opens the file.
 */
export function rollbackJournalOf(path: string): string {
  return `${path}-journal`;
}

/**
 * Returns `device.inode`, which tells a file from another one at the same path, and `size.mtime`, which changes with
 * every write to it; undefined if there is no file.
 */
export function lookAt(path: string): { readonly identity: string; readonly written: string } | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stat && { identity: `${stat.dev}.${stat.ino}`, written: `${stat.size}.${stat.mtimeNs}` };
}

/** Reads up to {@link HEADER_BYTES} from the start of a file; undefined if it does not exist. */
function readStart(path: string): Buffer | undefined {
  const start = Buffer.alloc(HEADER_BYTES);
  try {
    // Without O_NONBLOCK, opening a FIFO would block for ever.
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
