import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { migrate } from '../../../daemon/store/migrations.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { Snapshot, bytesIn } from '../../../daemon/store/snapshot.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { PAGE_BYTES, overwrite } from '../vault/raw-file.ts';

const TAG = Buffer.from('tag');

/** Makes a file with one record, and two connections to it. */
function openTwo(t: TestContext): { snapshot: Snapshot; put: (body: string) => void; isWalTruncated: () => boolean } {
  const file = path.join(temporaryDirectory(t), 'file.db');
  const [writer, reader] = [new Database(file), new Database(file, { timeout: 10 })];
  t.after(() => [writer, reader].forEach((database) => database.close()));
  writer.pragma('journal_mode = WAL');
  writer.pragma('busy_timeout = 10');
  migrate(writer);
  const insert = writer.prepare('INSERT OR REPLACE INTO record VALUES (?, ?, ?)');
  const put = (body: string): void => void insert.run(KIND.value, TAG, Buffer.from(body));
  put('first');
  const isWalTruncated = (): boolean =>
    (writer.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[])[0]?.busy === 0;
  return { snapshot: new Snapshot(reader), put, isWalTruncated };
}

/** Makes a connection whose first reads fail with the code that SQLite gives if the disk returns no page. */
function failing(t: TestContext, code: string, times: number): Database.Database {
  const database = new Database(path.join(temporaryDirectory(t), 'file.db'));
  t.after(() => database.close());
  migrate(database);
  database.prepare('INSERT INTO record VALUES (?, ?, ?)').run(KIND.value, TAG, Buffer.from('body'));
  const prepare = database.prepare.bind(database);
  let failures = times;
  const failFirst = (): void => {
    failures -= 1;
    if (failures >= 0) throw new Database.SqliteError('no page', code);
  };
  t.mock.method(database, 'prepare', (sql: string) => {
    const statement = prepare(sql);
    const [get, all] = [statement.get.bind(statement), statement.all.bind(statement)];
    return Object.assign(statement, {
      get: (...values: unknown[]) => (failFirst(), get(...values)),
      all: (...values: unknown[]) => (failFirst(), all(...values)),
    });
  });
  return database;
}

describe('Snapshot', () => {
  it('retries a failed read once, and throws the failure if that does not help', (t) => {
    for (const [code, failure] of [
      ['SQLITE_CORRUPT', 'damaged'],
      ['SQLITE_IOERR_READ', 'io'],
    ] as const) {
      const [once, list, always] = [1, 1, 9].map((times) => new Snapshot(failing(t, code, times)));
      assert.equal(String(once?.get(KIND.value, TAG)), 'body');
      assert.equal(list?.list(KIND.value, undefined, 10).length, 1);
      assert.throws(() => always?.get(KIND.value, TAG), { name: 'StoreError', failure });
    }
    // SQLite itself has retried on this error.
    const locked = new Snapshot(failing(t, 'SQLITE_PROTOCOL', 1));
    assert.throws(() => locked.get(KIND.value, TAG), { name: 'StoreError', failure: 'io' });
  });

  it("retries past SQLite's page cache, which still holds the wrong page", (t) => {
    const file = path.join(temporaryDirectory(t), 'file.db');
    const writer = new Database(file);
    migrate(writer);
    writer.prepare('INSERT INTO record VALUES (?, ?, ?)').run(KIND.value, TAG, Buffer.from('body'));
    writer.close();
    const whole = fs.readFileSync(file);
    const page = whole.indexOf('tagbody') & -PAGE_BYTES;
    overwrite(file, page, new Uint8Array(8));
    const database = new Database(file, { readonly: true });
    t.after(() => database.close());
    const prepare = database.prepare.bind(database);
    let reads = 0;
    t.mock.method(database, 'prepare', (sql: string) => {
      const statement = prepare(sql);
      const get = statement.get.bind(statement);
      return Object.assign(statement, {
        get: (...values: unknown[]) => {
          reads += 1;
          if (reads === 2) overwrite(file, page, whole.subarray(page, page + 8));
          return get(...values);
        },
      });
    });
    assert.equal(String(new Snapshot(database).get(KIND.value, TAG)), 'body');
    assert.equal(reads, 2);
  });

  it('reads the same state until it is left, whatever is committed meanwhile', (t) => {
    const { snapshot, put } = openTwo(t);
    const bodies = (): string[] => [
      String(snapshot.get(KIND.value, TAG)),
      ...snapshot.list(KIND.value, undefined, 10).map(({ body }) => String(body)),
    ];
    assert.deepEqual(bodies(), ['first', 'first']);
    put('second');
    assert.deepEqual(bodies(), ['first', 'first']);
    snapshot.end();
    assert.deepEqual(bodies(), ['second', 'second']);
    put('third');
    assert.deepEqual(bodies(), ['second', 'second'], 'the same holds of the next one');
  });

  it('begins no transaction if it must not, and can be left after SQLite ended it', (t) => {
    const database = failing(t, 'SQLITE_IOERR', 0);
    const refused = new Snapshot(database, undefined, () => {
      throw new Error('not now');
    });
    assert.throws(() => refused.get(KIND.value, TAG), /not now/);
    assert.equal(database.inTransaction, false);
    const ended = new Snapshot(database);
    assert.equal(String(ended.get(KIND.value, TAG)), 'body');
    database.exec('ROLLBACK');
    ended.end();
    assert.equal(String(ended.get(KIND.value, TAG)), 'body');
  });

  it('lets the WAL be emptied before it is entered and after it is left', (t) => {
    const { snapshot, put, isWalTruncated } = openTwo(t);
    snapshot.end();
    assert.equal(isWalTruncated(), true);
    assert.equal(String(snapshot.get(KIND.value, TAG)), 'first');
    put('second');
    assert.equal(isWalTruncated(), false);
    snapshot.end();
    snapshot.end();
    assert.equal(isWalTruncated(), true);
  });

  it('returns undefined for a record that does not exist', (t) => {
    const { snapshot } = openTwo(t);
    assert.equal(snapshot.get(KIND.value, Buffer.from('other')), undefined);
    assert.equal(snapshot.get(KIND.credential, TAG), undefined);
  });

  it('never lists the same rows repeatedly from a page whose rows are out of order', (t) => {
    const file = path.join(temporaryDirectory(t), 'file.db');
    const writer = new Database(file);
    migrate(writer);
    const tags = Array.from({ length: 12 }, (_, index) => Buffer.alloc(16, index + 1));
    for (const tag of tags)
      writer.prepare('INSERT INTO record VALUES (?, ?, ?)').run(KIND.value, tag, Buffer.from('body'));
    writer.close();
    const reader = new Database(file, { readonly: true });
    t.after(() => reader.close());
    const listAll = (limit: number): number => {
      const snapshot = new Snapshot(reader);
      let after: Uint8Array | undefined;
      try {
        for (let listed = 0; listed < 1000;) {
          const page = snapshot.list(KIND.value, after, limit);
          listed += page.length;
          if (page.length < limit) return listed;
          after = page.at(-1)?.tag;
        }
        return Number.POSITIVE_INFINITY;
      } finally {
        snapshot.end();
        reader.pragma('shrink_memory');
      }
    };
    assert.equal(listAll(4), 12);
    const [eighth, last] = [7, 11].map((index) => fs.readFileSync(file).indexOf(tags[index] ?? ''));
    assert.ok(eighth !== undefined && last !== undefined);
    // The very last tag now sorts before the first: no list continues after it.
    overwrite(file, last, new Uint8Array(16));
    assert.equal(listAll(5), 12);
    // Now the last tag of the second page of a list does so, too.
    overwrite(file, eighth, new Uint8Array(16));
    assert.equal(listAll(100), 12);
    assert.throws(() => listAll(4), { name: 'StoreError', failure: 'damaged', message: /out of order/ });
  });
});

describe('bytesIn()', () => {
  it('returns the bytes of a column, and no bytes for any other type', () => {
    assert.equal(bytesIn(TAG), TAG);
    for (const column of [null, undefined, 7, 'tag']) assert.equal(bytesIn(column).length, 0);
  });
});
