import Database from 'better-sqlite3';

import { BODY_BYTES_MAX, StoreError } from './sealed-store.ts';
import type { Kind, SealedReader, SealedRecord } from './sealed-store.ts';
import { asStoreError } from './sqlite-connection.ts';

/** One that is larger than any record is is not read: SQLite knows its size without. */
const BODY = `iif(octet_length(body) <= ${BODY_BYTES_MAX}, body, NULL)`;

/** Whatever the schema says, in a damaged row each may be null, a number or a text. */
interface Row {
  readonly tag: unknown;
  readonly body: unknown;
}

/**
 * What one connection reads, in a transaction that stays open from the first read until {@link leave}: with one of its
 * own, each read would take and give back SQLite's locks, which costs more than the read.
 */
export class Snapshot implements SealedReader {
  readonly #database: Database.Database;
  readonly #get: Database.Statement<[Kind, Uint8Array]>;
  readonly #list: Database.Statement<[Kind, Uint8Array, number], Row>;
  readonly #begin: Database.Statement<[]>;
  readonly #end: Database.Statement<[]>;
  readonly #explain: (error: unknown) => unknown;
  readonly #checkEntry: () => void;
  #isOpen = false;

  /**
   * @param explain what to throw in the place of an error
   * @param checkEntry throws where the transaction must not be begun
   */
  constructor(
    database: Database.Database,
    explain: (error: unknown) => unknown = asStoreError,
    checkEntry: () => void = () => undefined,
  ) {
    this.#database = database;
    this.#explain = explain;
    this.#checkEntry = checkEntry;
    this.#get = database.prepare<[Kind, Uint8Array]>(`SELECT ${BODY} FROM record WHERE kind = ? AND tag = ?`).pluck();
    this.#list = database.prepare(
      `SELECT tag, ${BODY} AS body FROM record WHERE kind = ? AND tag >= ? ORDER BY tag LIMIT ?`,
    );
    this.#begin = database.prepare('BEGIN');
    // COMMIT would fail after a read that met a damaged page, and the commit of the writer with it.
    this.#end = database.prepare('ROLLBACK');
  }

  get(kind: Kind, tag: Uint8Array): Uint8Array | undefined {
    const body = this.#read(() => this.#get.get(kind, tag));
    return body === undefined ? undefined : bytesIn(body);
  }

  list(kind: Kind, after: Uint8Array | undefined, limit: number): SealedRecord[] {
    // A tag and one more zero is the first that sorts behind it; the first of all is the empty one, which nobody made.
    const from = after === undefined ? new Uint8Array(0) : Buffer.concat([after, Buffer.of(0)]);
    const rows = this.#read(() => this.#list.all(kind, from, limit));
    const records = rows.map(({ tag, body }) => ({ kind, tag: bytesIn(tag), body: bytesIn(body) }));
    // In a page that is damaged, or in the place of another one, rows may be out of order: who goes on from the last of these
    // would be given them again, without end.
    const last = records.at(-1)?.tag;
    if (last !== undefined && records.length === limit && Buffer.compare(last, from) < 0) {
      throw new StoreError('damaged', 'the rows of a page of the store are out of order');
    }
    return records;
  }

  /** Lets the next read see what was committed, and the journal be emptied: it cannot while somebody reads from it. */
  leave(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#database.inTransaction) this.#end.run();
  }

  /**
   * Reads once more where the disk fails: what it did not give once, it may give now. SQLite says of a page that was
   * not given (EIO) that it is damaged, and whoever is told that of the store puts an old copy back.
   */
  #read<T>(work: () => T): T {
    const read = (): T => {
      this.#enter();
      return work();
    };
    try {
      try {
        return read();
      } catch (error) {
        if (!isOfDisk(error)) throw error;
        // From the disk: of a page that came wrong, SQLite keeps what came.
        this.#database.pragma('shrink_memory');
        return read();
      }
    } catch (error) {
      // Nothing is being read where there was no lock for it: the next read begins anew.
      if (error instanceof Database.SqliteError && error.code === 'SQLITE_PROTOCOL') this.leave();
      throw this.#explain(error);
    }
  }

  #enter(): void {
    if (this.#isOpen) return;
    this.#checkEntry();
    this.#begin.run();
    this.#isOpen = true;
  }
}

/** Whether asking again may help, and takes no longer: SQLite itself waits for a lock (SQLITE_PROTOCOL), for many seconds. */
function isOfDisk(error: unknown): boolean {
  return error instanceof Database.SqliteError && /^SQLITE_(CORRUPT|IOERR)/.test(error.code);
}

/** What a column holds that should hold bytes: what is none becomes empty bytes, which no more open than damaged ones. */
export function bytesIn(column: unknown): Uint8Array {
  return column instanceof Uint8Array ? column : new Uint8Array(0);
}
