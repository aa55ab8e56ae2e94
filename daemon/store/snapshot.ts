import type Database from 'better-sqlite3';

import type { Kind } from './sealed-store.ts';

export interface Row {
  readonly tag: Buffer;
  /** Whatever the schema says, in a damaged row it may be null, a number or a text. */
  readonly body: unknown;
}

/**
 * What one connection reads, in a transaction that stays open from the first read until {@link leave}: with one of its
 * own, each read would take and give back SQLite's locks, which costs more than the read.
 */
export class Snapshot {
  readonly #database: Database.Database;
  readonly #get: Database.Statement<[Kind, Uint8Array]>;
  readonly #list: Database.Statement<[Kind, Uint8Array, number], Row>;
  readonly #begin: Database.Statement<[]>;
  readonly #end: Database.Statement<[]>;
  #isOpen = false;

  constructor(database: Database.Database) {
    this.#database = database;
    this.#get = database.prepare<[Kind, Uint8Array]>('SELECT body FROM record WHERE kind = ? AND tag = ?').pluck();
    this.#list = database.prepare('SELECT tag, body FROM record WHERE kind = ? AND tag >= ? ORDER BY tag LIMIT ?');
    this.#begin = database.prepare('BEGIN');
    // COMMIT would fail after a read that met a damaged page, and the commit of the writer with it.
    this.#end = database.prepare('ROLLBACK');
  }

  /** The body, undefined where there is no such record. */
  get(kind: Kind, tag: Uint8Array): unknown {
    this.#enter();
    return this.#get.get(kind, tag);
  }

  /** Up to `limit` records in the order of their tags, the first of them not before `from`. */
  list(kind: Kind, from: Uint8Array, limit: number): Row[] {
    this.#enter();
    return this.#list.all(kind, from, limit);
  }

  /** Lets the next read see what was committed, and the journal be emptied: it cannot while somebody reads from it. */
  leave(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#database.inTransaction) this.#end.run();
  }

  #enter(): void {
    if (this.#isOpen) return;
    this.#begin.run();
    this.#isOpen = true;
  }
}
