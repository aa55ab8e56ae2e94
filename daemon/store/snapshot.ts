import Database from 'better-sqlite3';

import { BODY_BYTES_MAX, StoreError } from './sealed-store.ts';
import type { Kind, SealedReader, SealedRecord } from './sealed-store.ts';
import { asStoreError } from './sqlite-connection.ts';

/** Selects NULL for a body that is larger than any record's: SQLite knows the size without reading the body. */
const BODY = `iif(octet_length(body) <= ${BODY_BYTES_MAX}, body, NULL)`;

/** A row as read. In a damaged row each column may be null, a number or text, whatever the schema says. */
interface Row {
  readonly tag: unknown;
  readonly body: unknown;
}

/**
 * The reads of one connection, in one read transaction from the first read until {@link end}. With a transaction per
 * read, SQLite would take and release its locks each time, which costs more than the read itself.
 */
export class Snapshot implements SealedReader {
  readonly #database: Database.Database;
  readonly #get: Database.Statement<[Kind, Uint8Array]>;
  readonly #list: Database.Statement<[Kind, Uint8Array, number], Row>;
  readonly #begin: Database.Statement<[]>;
  readonly #end: Database.Statement<[]>;
  readonly #explain: (error: unknown) => unknown;
  readonly #checkMayBegin: () => void;
  #isOpen = false;

  /**
   * @param explain returns what to throw instead of an error
   * @param checkMayBegin throws if no transaction may begin now
   */
  constructor(
    database: Database.Database,
    explain: (error: unknown) => unknown = asStoreError,
    checkMayBegin: () => void = () => undefined,
  ) {
    this.#database = database;
    this.#explain = explain;
    this.#checkMayBegin = checkMayBegin;
    this.#get = database.prepare<[Kind, Uint8Array]>(`SELECT ${BODY} FROM record WHERE kind = ? AND tag = ?`).pluck();
    this.#list = database.prepare(
      `SELECT tag, ${BODY} AS body FROM record WHERE kind = ? AND tag >= ? ORDER BY tag LIMIT ?`,
    );
    this.#begin = database.prepare('BEGIN');
    // Not COMMIT, which fails after a read that met a damaged page: then the writer's commit would fail too, since it
    // ends this snapshot first.
    this.#end = database.prepare('ROLLBACK');
  }

  get(kind: Kind, tag: Uint8Array): Uint8Array | undefined {
    const body = this.#read(() => this.#get.get(kind, tag));
    return body === undefined ? undefined : bytesIn(body);
  }

  list(kind: Kind, after: Uint8Array | undefined, limit: number): SealedRecord[] {
    // `after` with a zero byte appended is the first tag that sorts after it. The empty tag sorts first and is never
    // used.
    const from = after === undefined ? new Uint8Array(0) : Buffer.concat([after, Buffer.of(0)]);
    const rows = this.#read(() => this.#list.all(kind, from, limit));
    const records = rows.map(({ tag, body }) => ({ kind, tag: bytesIn(tag), body: bytesIn(body) }));
    // On a damaged or misplaced page, rows may be out of order. A caller that continues from the last row would then
    // get the same rows again, in an endless loop.
    const last = records.at(-1)?.tag;
    if (last !== undefined && records.length === limit && Buffer.compare(last, from) < 0) {
      throw new StoreError('damaged', 'the rows of a page of the store are out of order');
    }
    return records;
  }

  /** Ends the read transaction: the next read sees later commits, and a checkpoint can truncate the WAL. */
  end(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#database.inTransaction) this.#end.run();
  }

  /**
   * Retries a read once after a failure of the disk, which may be transient. SQLite calls a page damaged if the disk
   * failed to return it (EIO), and users who are told that the store is damaged restore an old copy.
   */
  #read<T>(work: () => T): T {
    const read = (): T => {
      this.#beginIfEnded();
      return work();
    };
    try {
      try {
        return read();
      } catch (error) {
        if (!isOfDisk(error)) throw error;
        // Drop SQLite's page cache, which keeps a page that was read wrongly.
        this.#database.pragma('shrink_memory');
        return read();
      }
    } catch (error) {
      // SQLite got no lock, so no read transaction is open: the next read must begin a new one.
      if (error instanceof Database.SqliteError && error.code === 'SQLITE_PROTOCOL') this.end();
      throw this.#explain(error);
    }
  }

  #beginIfEnded(): void {
    if (this.#isOpen) return;
    this.#checkMayBegin();
    this.#begin.run();
    this.#isOpen = true;
  }
}

/**
 * Tells whether a retry may help and is quick. SQLITE_PROTOCOL is not included: SQLite itself has retried the lock for
 * many seconds.
 */
function isOfDisk(error: unknown): boolean {
  return error instanceof Database.SqliteError && /^SQLITE_(CORRUPT|IOERR)/.test(error.code);
}

/** Returns the bytes of a column. Any other type becomes empty bytes, which fail to decrypt just like damaged ones. */
export function bytesIn(column: unknown): Uint8Array {
  return column instanceof Uint8Array ? column : new Uint8Array(0);
}
