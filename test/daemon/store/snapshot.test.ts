import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { migrate } from '../../../daemon/store/migrations.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { Snapshot } from '../../../daemon/store/snapshot.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { overwrite } from '../vault/raw-file.ts';

const TAG = Buffer.from('tag');

/** A file with one record, and two connections to it. */
function openTwo(t: TestContext): { snapshot: Snapshot; put: (body: string) => void; isJournalEmptied: () => boolean } {
  const file = path.join(temporaryDirectory(t), 'file.db');
  const [writer, reader] = [new Database(file), new Database(file, { timeout: 10 })];
  t.after(() => [writer, reader].forEach((database) => database.close()));
  writer.pragma('journal_mode = WAL');
  writer.pragma('busy_timeout = 10');
  migrate(writer);
  const insert = writer.prepare('INSERT OR REPLACE INTO record VALUES (?, ?, ?)');
  const put = (body: string): void => void insert.run(KIND.value, TAG, Buffer.from(body));
  put('first');
  const isJournalEmptied = (): boolean =>
    (writer.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[])[0]?.busy === 0;
  return { snapshot: new Snapshot(reader), put, isJournalEmptied };
}

/** A connection whose reads fail so many times, as SQLite says it where the disk gives no page. */
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
  it('asks once more for what could not be read, and says what was wrong where that helps nothing', (t) => {
    for (const [code, failure] of [
      ['SQLITE_CORRUPT', 'damaged'],
      ['SQLITE_IOERR_READ', 'io'],
    ] as const) {
      const [once, list, always] = [1, 1, 9].map((times) => new Snapshot(failing(t, code, times)));
      assert.equal(String(once?.get(KIND.value, TAG)), 'body');
      assert.equal(list?.list(KIND.value, undefined, 10).length, 1);
      assert.throws(() => always?.get(KIND.value, TAG), { name: 'StoreError', failure });
    }
    // SQLite has waited for this one.
    const locked = new Snapshot(failing(t, 'SQLITE_PROTOCOL', 1));
    assert.throws(() => locked.get(KIND.value, TAG), { name: 'StoreError', failure: 'io' });
  });

  it('reads the same until it is left, whatever is committed meanwhile', (t) => {
    const { snapshot, put } = openTwo(t);
    const bodies = (): string[] => [
      String(snapshot.get(KIND.value, TAG)),
      ...snapshot.list(KIND.value, undefined, 10).map(({ body }) => String(body)),
    ];
    assert.deepEqual(bodies(), ['first', 'first']);
    put('second');
    assert.deepEqual(bodies(), ['first', 'first']);
    snapshot.leave();
    assert.deepEqual(bodies(), ['second', 'second']);
  });

  it('lets the journal be emptied once it is left, and before it is entered', (t) => {
    const { snapshot, put, isJournalEmptied } = openTwo(t);
    snapshot.leave();
    assert.equal(isJournalEmptied(), true);
    assert.equal(String(snapshot.get(KIND.value, TAG)), 'first');
    put('second');
    assert.equal(isJournalEmptied(), false);
    snapshot.leave();
    snapshot.leave();
    assert.equal(isJournalEmptied(), true);
  });

  it('knows nothing of a record that is not there', (t) => {
    const { snapshot } = openTwo(t);
    assert.equal(snapshot.get(KIND.value, Buffer.from('other')), undefined);
    assert.equal(snapshot.get(KIND.credential, TAG), undefined);
  });

  it('gives out of a page whose rows are out of order none again and again', (t) => {
    const file = path.join(temporaryDirectory(t), 'file.db');
    const writer = new Database(file);
    migrate(writer);
    const tags = Array.from({ length: 12 }, (_, index) => Buffer.alloc(16, index + 1));
    for (const tag of tags)
      writer.prepare('INSERT INTO record VALUES (?, ?, ?)').run(KIND.value, tag, Buffer.from('body'));
    writer.close();
    // The last of the second page of a list comes to sort before the first one of all.
    overwrite(file, fs.readFileSync(file).indexOf(tags[7] ?? ''), new Uint8Array(16));
    const reader = new Database(file, { readonly: true });
    t.after(() => reader.close());
    const snapshot = new Snapshot(reader);
    const listAll = (limit: number): number => {
      let after: Uint8Array | undefined;
      for (let listed = 0; listed < 1000;) {
        const page = snapshot.list(KIND.value, after, limit);
        listed += page.length;
        if (page.length < limit) return listed;
        after = page.at(-1)?.tag;
      }
      return Number.POSITIVE_INFINITY;
    };
    assert.equal(listAll(100), 12);
    assert.throws(() => listAll(4), { name: 'StoreError', failure: 'damaged', message: /out of order/ });
  });
});
