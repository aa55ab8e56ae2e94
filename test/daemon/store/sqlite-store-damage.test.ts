import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { APPLICATION_ID, FORMAT_VERSION } from '../../../daemon/store/migrations.ts';
import { BODY_BYTES_MAX, KIND } from '../../../daemon/store/sealed-store.ts';
import type { Kind } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { editFile, leavesOf, zeroPage } from '../vault/raw-file.ts';
import { commit, fails, newFile, open, text, value } from './test-store.ts';

describe('SqliteStore on a damaged page', () => {
  function damaged(t: TestContext): { store: SqliteStore; tags: Buffer[] } {
    const file = newFile(t);
    const store = SqliteStore.open(file);
    const tags = Array.from({ length: 200 }, () => randomBytes(16));
    commit(
      store,
      1,
      tags.map((tag) => ({ kind: KIND.value, tag, body: randomBytes(300) })),
    );
    store.close();
    const leaves = leavesOf(file);
    zeroPage(file, leaves[Math.floor(leaves.length / 2)] ?? 0);
    return { store: open(t, file), tags };
  }

  function countReadable(store: SqliteStore, kind: Kind, tags: readonly Buffer[]): number {
    return tags.filter((tag) => {
      try {
        return store.get(kind, tag) !== undefined;
      } catch (error) {
        assert.ok(fails('damaged')(error));
        return false;
      }
    }).length;
  }

  it('reads the records on other pages, however often, and still commits', (t) => {
    const { store, tags } = damaged(t);
    const readable = countReadable(store, KIND.value, tags);
    assert.ok(readable > 150 && readable < 200, `${readable}`);
    for (const number of [2, 3, 4]) {
      commit(store, number, [{ kind: KIND.slot, tag: Buffer.of(number), body: Buffer.of(number) }]);
      assert.equal(countReadable(store, KIND.value, tags), readable);
    }
    assert.throws(() => store.list(KIND.value, undefined, 200), fails('damaged'));
    assert.equal(store.list(KIND.slot, undefined, 10).length, 3);
    store.purge();
  });

  it('reads a page again as soon as the disk returns its content', (t) => {
    const file = newFile(t);
    const tags = Array.from({ length: 200 }, (_, index) => `${index}`);
    const filling = SqliteStore.open(file);
    commit(
      filling,
      1,
      tags.map((tag) => value(tag, tag.padEnd(1000))),
    );
    filling.close();
    const good = fs.readFileSync(file);
    const store = open(t, file);
    const overwrite = (bytes: Uint8Array): void => {
      const descriptor = fs.openSync(file, 'r+');
      fs.writeSync(descriptor, bytes.subarray(4096), 0, undefined, 4096);
      fs.closeSync(descriptor);
    };
    overwrite(Buffer.alloc(good.length));
    for (const tag of tags) assert.throws(() => store.get(KIND.value, Buffer.from(tag)), fails('damaged'));
    overwrite(good);
    for (const tag of tags) assert.equal(text(store.get(KIND.value, Buffer.from(tag))), tag.padEnd(1000));
  });

  it('findPageDamage() reports it, and nothing in an intact file', async (t) => {
    assert.notDeepEqual(await damaged(t).store.findPageDamage(), []);
    const whole = open(t);
    commit(whole, 1, [value('a')]);
    assert.deepEqual(await whole.findPageDamage(), []);
    const large = open(t);
    commit(
      large,
      1,
      Array.from({ length: 17 }, (_, index) => value(`large ${index}`, 'x'.repeat(1024 * 1024))),
    );
    assert.deepEqual(await large.findPageDamage(), [], 'by another process, of what is in the WAL still');
    const one = newFile(t);
    large.purge();
    await large.copyTo(one);
    const bytes = fs.readFileSync(one);
    // The inner pages come first, level by level; pages of large bodies are not inspected.
    for (let page = 1; page < 5; page += 1) bytes.fill(0xff, page * 4096, (page + 1) * 4096);
    fs.writeFileSync(one, bytes);
    assert.notDeepEqual(await open(t, one).findPageDamage(), []);
  });
});

describe('SqliteStore on a file that another program writes to', () => {
  function overwrite(file: string, bytes: Uint8Array): void {
    const descriptor = fs.openSync(file, 'r+');
    fs.writeSync(descriptor, bytes);
    fs.ftruncateSync(descriptor, bytes.length);
    fs.closeSync(descriptor);
  }

  it('refuses to write if an older copy was written over the file', (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a', 'old')]);
    store.purge();
    const copy = fs.readFileSync(file);
    commit(store, 2, [value('a', 'new'), value('b')]);
    store.purge();
    assert.equal(text(store.get(KIND.value, Buffer.from('a'))), 'new');
    overwrite(file, copy);
    for (let count = 0; count < 2; count += 1) {
      assert.throws(() => store.begin(Buffer.of(2)), fails('changed_by_other', /the store was changed/));
    }
    assert.deepEqual(fs.readFileSync(file), copy);
  });

  it("works on after another program's checkpoint, or after the file's time was set", (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a')]);
    editFile(file, (other) => other.pragma('wal_checkpoint'));
    commit(store, 2, [value('b')]);
    fs.utimesSync(file, 1, 1);
    commit(store, 3, [value('c')]);
    store.purge();
    for (const tag of ['a', 'b', 'c']) assert.equal(text(store.get(KIND.value, Buffer.from(tag))), 'body');
  });
});

describe('SqliteStore on a file whose schema or header another program changed', () => {
  for (const megabytes of [0, 17]) {
    it(`findPageDamage() reports what would keep it from being opened again, with ${megabytes} MiB`, async (t) => {
      const file = newFile(t);
      const store = open(t, file);
      const large = Array.from({ length: megabytes }, (_, index) => value(`${index}`, 'x'.repeat(1024 * 1024)));
      commit(store, 1, [value('a'), ...large]);
      editFile(file, (other) => other.exec('CREATE INDEX other ON record (body)'));
      assert.deepEqual(await store.findPageDamage(), [
        'the file has a table or trigger that this program did not make',
      ]);
      editFile(file, (other) => other.exec('DROP INDEX other'));
      for (const [setting, own] of [
        ['application_id', APPLICATION_ID],
        ['user_version', FORMAT_VERSION],
      ] as const) {
        editFile(file, (other) => other.pragma(`${setting} = 99`));
        assert.deepEqual(await store.findPageDamage(), [
          'another program changed the header of the file (application_id, user_version)',
        ]);
        editFile(file, (other) => other.pragma(`${setting} = ${own}`));
      }
      assert.deepEqual(await store.findPageDamage(), []);
    });
  }
});

/** Inserts a row with another schema in place for a moment, past SQLite's checks. */
function insertPastSchema(file: string, body: unknown): void {
  const schema = (change: string): void =>
    editFile(file, (database) => {
      database.unsafeMode();
      database.pragma('writable_schema = ON');
      database.exec(`UPDATE sqlite_schema SET sql = ${change}`);
    });
  schema("replace(replace(sql, 'body BLOB    NOT NULL', 'body ANY            '), 'STRICT, ', '        ')");
  editFile(file, (database) =>
    database.prepare('INSERT INTO record VALUES (?, ?, ?)').run(KIND.value, Buffer.from('odd'), body),
  );
  schema(
    "replace(replace(sql, 'body ANY            ', 'body BLOB    NOT NULL'), '         WITHOUT', ' STRICT, WITHOUT')",
  );
}

describe('SqliteStore on rows that SQLite would have refused', () => {
  for (const [what, body] of Object.entries({
    'no body': null,
    'a number for a body': 7,
    'a text for a body': 'text',
  })) {
    it(`returns empty bytes for ${what}, and the records beside it`, (t) => {
      const file = newFile(t);
      const made = SqliteStore.open(file);
      commit(made, 1, [value('a'), value('z')]);
      made.close();
      insertPastSchema(file, body);
      const store = open(t, file);
      assert.deepEqual(store.get(KIND.value, Buffer.from('odd')), new Uint8Array(0));
      assert.deepEqual(
        store.list(KIND.value, undefined, 10).map((record) => `${text(record.tag)} ${text(record.body)}`),
        ['a body', 'odd ', 'z body'],
      );
    });
  }
});

describe('SqliteStore on a row that is larger than any record', () => {
  it('returns empty bytes in its place, and the records beside it', (t) => {
    const file = newFile(t);
    const made = SqliteStore.open(file);
    commit(made, 1, [value('a'), value('z', Buffer.alloc(BODY_BYTES_MAX))]);
    made.close();
    insertPastSchema(file, Buffer.alloc(BODY_BYTES_MAX + 1));
    const store = open(t, file);
    assert.equal(store.get(KIND.value, Buffer.from('odd'))?.length, 0);
    assert.deepEqual(
      store.list(KIND.value, undefined, 10).map((record) => record.body.length),
      [4, 0, BODY_BYTES_MAX],
    );
    assert.equal(store.get(KIND.value, Buffer.from('z'))?.length, BODY_BYTES_MAX);
  });
});
