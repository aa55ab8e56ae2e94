import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { dropCachedPages } from '../../../daemon/kernel/libc.ts';
import { APPLICATION_ID, FORMAT_VERSION, migrate } from '../../../daemon/store/migrations.ts';
import { BODY_BYTES_MAX, KIND, StoreError, fixedTag } from '../../../daemon/store/sealed-store.ts';
import type { Kind, SealedRecord, StoreFailure } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { root, skipUnless, tracer } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { contentOf, editFile, leavesOf, rowsOf, zeroPage } from '../vault/raw-file.ts';
import { FailingDisk, failingDisks } from './failing-disk.ts';
import { makeReadOnly, mounting, smallDisk } from './small-disk.ts';

const HEAD = { kind: KIND.head, tag: fixedTag('head') } as const;

function newFile(t: TestContext): string {
  return path.join(temporaryDirectory(t), 'credentials.db');
}

function open(t: TestContext, file: string = newFile(t)): SqliteStore {
  const store = SqliteStore.open(file);
  t.after(() => store.close());
  return store;
}

function value(tag: string, body: string | Uint8Array = 'body'): SealedRecord {
  return { kind: KIND.value, tag: Buffer.from(tag), body: Buffer.from(body as Uint8Array) };
}

/** Commits records under a head of the given number. */
function commit(store: SqliteStore, number: number, records: readonly SealedRecord[]): void {
  const transaction = store.begin(number === 1 ? undefined : Buffer.of(number - 1));
  for (const record of records) transaction.put(record);
  transaction.put({ ...HEAD, body: Buffer.of(number) });
  transaction.commit();
}

function fails(failure: StoreFailure, message: RegExp = /./): (error: unknown) => boolean {
  return (error) => error instanceof StoreError && error.failure === failure && message.test(error.message);
}

function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString();
}

/** Asserts that opening fails, and that neither the file nor its directory changes. */
function assertRefusedUntouched(file: string, failure: StoreFailure, message: RegExp): void {
  const before = contentOf(path.dirname(file));
  assert.throws(() => SqliteStore.open(file), fails(failure, message));
  const after = contentOf(path.dirname(file));
  // If there is a WAL, SQLite makes its index, which holds nothing that is not in the WAL.
  if (`${path.basename(file)}-wal` in before) delete after[`${path.basename(file)}-shm`];
  assert.deepEqual(after, before);
}

describe('SqliteStore.open()', () => {
  it('makes a file that only its owner can read, in WAL mode, with our id and version', (t) => {
    const old = process.umask(0o077);
    t.after(() => process.umask(old));
    const file = newFile(t);
    commit(open(t, file), 1, [value('a')]);
    for (const name of fs.readdirSync(path.dirname(file))) {
      assert.equal(fs.statSync(path.join(path.dirname(file), name)).mode & 0o777, 0o600, name);
    }
    const header = fs.readFileSync(file);
    assert.deepEqual([header[18], header[19]], [2, 2], 'WAL mode');
    editFile(file, (database) => {
      assert.equal(database.pragma('application_id', { simple: true }), APPLICATION_ID);
      assert.equal(database.pragma('user_version', { simple: true }), FORMAT_VERSION);
    });
  });

  it('reads what was committed before', (t) => {
    const file = newFile(t);
    const store = SqliteStore.open(file);
    commit(store, 1, [value('a', 'first')]);
    store.close();
    assert.equal(text(open(t, file).get(KIND.value, Buffer.from('a'))), 'first');
  });

  for (const version of [FORMAT_VERSION + 1, 99, 2 ** 31 - 1]) {
    it(`leaves a file of version ${version} byte for byte unchanged`, (t) => {
      const file = newFile(t);
      SqliteStore.open(file).close();
      editFile(file, (database) => database.pragma(`user_version = ${version}`));
      assert.deepEqual(Object.keys(contentOf(path.dirname(file))), ['credentials.db']);
      assertRefusedUntouched(file, 'newer', new RegExp(`format ${version}.*not touched`));
    });
  }

  it('leaves a file unchanged whose newer version is still in the WAL', (t) => {
    const file = newFile(t);
    SqliteStore.open(file).close();
    const newer = new Database(file);
    t.after(() => newer.close());
    newer.exec(`ALTER TABLE record ADD COLUMN more BLOB; PRAGMA user_version = ${FORMAT_VERSION + 1}`);
    const copy = newFile(t);
    for (const end of ['', '-wal']) fs.copyFileSync(`${file}${end}`, `${copy}${end}`);
    assert.equal(fs.readFileSync(copy).readUInt32BE(60), FORMAT_VERSION, 'the file itself has the old version');
    assertRefusedUntouched(copy, 'newer', /not touched/);
  });

  const foreign: Record<string, string> = {
    'an id of its own': 'PRAGMA application_id = 0x12345678; CREATE TABLE theirs (a)',
    'no id': 'CREATE TABLE theirs (a)',
    'no id, and a version': 'PRAGMA user_version = 1; CREATE TABLE theirs (a)',
    'no id, in WAL mode': 'PRAGMA journal_mode = WAL; CREATE TABLE theirs (a)',
    'no id, and a table like ours': 'CREATE TABLE record (kind INTEGER, tag BLOB, body BLOB)',
    'no id, and many tables': Array.from({ length: 200 }, (_, index) => `CREATE TABLE theirs_${index} (a);`).join(''),
    'our version and another id': `PRAGMA application_id = 1; PRAGMA user_version = ${FORMAT_VERSION}`,
  };
  for (const [what, sql] of Object.entries(foreign)) {
    it(`leaves another program's database unchanged, with ${what}`, (t) => {
      const file = newFile(t);
      editFile(file, (database) => database.exec(sql));
      assertRefusedUntouched(file, 'damaged', /another program/);
    });
  }

  it("leaves another program's database unchanged that is only in the WAL", (t) => {
    const file = newFile(t);
    const theirs = new Database(file);
    t.after(() => theirs.close());
    theirs.exec('PRAGMA journal_mode = WAL; CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)');
    const copy = newFile(t);
    for (const end of ['', '-wal']) fs.copyFileSync(`${file}${end}`, `${copy}${end}`);
    assertRefusedUntouched(copy, 'damaged', /another program/);
  });

  const noDatabases: Record<string, Uint8Array> = {
    'one byte': Buffer.of(0),
    text: Buffer.from('# configuration\n'.repeat(100)),
    'random bytes': randomBytes(8192),
    zeros: new Uint8Array(4096),
    'half a header': Buffer.from('SQLite format 3\0'),
  };
  for (const [what, bytes] of Object.entries(noDatabases)) {
    it(`leaves a file of ${what} unchanged`, (t) => {
      const file = newFile(t);
      fs.writeFileSync(file, bytes);
      assertRefusedUntouched(file, 'damaged', /not an SQLite database/);
    });
  }

  it('says why it cannot read the file', (t) => {
    const file = newFile(t);
    fs.mkdirSync(file);
    assert.throws(() => SqliteStore.open(file), fails('io', /directory/));
  });

  for (const end of ['', '-wal']) {
    it(`does not block on a FIFO (credentials.db${end})`, (t) => {
      const file = newFile(t);
      execFileSync('mkfifo', [`${file}${end}`]);
      // In a process of its own: one that blocks on a FIFO can only be killed.
      const store = new URL('../../../daemon/store/sqlite-store.ts', import.meta.url).href;
      const script = `const { SqliteStore } = await import(${JSON.stringify(store)});
        try { SqliteStore.open(${JSON.stringify(file)}); } catch (error) { console.log(error.failure, error.message); }`;
      const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 60_000 });
      assert.match(said.toString(), /^io cannot read the .*store: it is a FIFO$/m);
    });
  }

  it(
    'opens for writing or fails, but does not fall back to read-only, if the system once fails to open a file',
    { skip: skipUnless(tracer) },
    (t) => {
      const file = newFile(t);
      SqliteStore.open(file).close();
      const store = new URL('../../../daemon/store/sqlite-store.ts', import.meta.url).href;
      const script = `const { SqliteStore } = await import(${JSON.stringify(store)});
      try {
        const transaction = SqliteStore.open(${JSON.stringify(file)}).begin(undefined);
        transaction.put({ kind: 6, tag: Buffer.from('tag'), body: Buffer.from('body') });
        transaction.commit();
        console.log('written');
      } catch (error) {
        console.log(error.failure);
      }`;
      const said: string[] = [];
      for (let count = 1; count <= 5; count += 1) {
        const inject = ['-f', '-qq', '-o', '/dev/null', '-P', file, `--inject=openat:error=EMFILE:when=${count}`];
        const command = [...inject, process.execPath, '--input-type=module', '-e', script];
        said.push(execFileSync('strace', command, { encoding: 'utf8', timeout: 60_000 }).trim());
      }
      assert.ok(said.includes('written') && said.includes('io'), said.join());
      assert.ok(!said.includes('read_only'), said.join());
    },
  );

  it('fails with io if the system cannot stat the file', (t) => {
    const file = newFile(t);
    const store = open(t, file);
    fs.rmSync(file);
    fs.symlinkSync(file, file);
    assert.throws(() => store.begin(undefined), fails('io', /^the storage failed: too many symbolic links/));
    assert.throws(() => store.openSnapshot(), fails('io'));
    assert.throws(() => SqliteStore.open(path.join(file, 'below')), fails('io'));
  });

  for (const [what, lose] of Object.entries({ empty: fs.truncateSync, gone: fs.rmSync })) {
    it(`does not start a new store if the file is ${what} and its WAL exists`, (t) => {
      const made = newFile(t);
      commit(open(t, made), 1, [value('a')]);
      const copy = newFile(t);
      for (const end of ['', '-wal']) fs.copyFileSync(`${made}${end}`, `${copy}${end}`);
      lose(copy);
      assertRefusedUntouched(copy, 'damaged', /its write-ahead log \(-wal\) is there/);
    });
  }

  it('makes a store in an empty file, and in one that never had a commit', (t) => {
    const empty = newFile(t);
    fs.writeFileSync(empty, '');
    commit(open(t, empty), 1, [value('a')]);
    const begun = newFile(t);
    editFile(begun, (database) => database.pragma('journal_mode = WAL'));
    assert.ok(fs.statSync(begun).size > 0);
    commit(open(t, begun), 1, [value('a')]);
  });

  const additions: Record<string, string> = {
    'a trigger that drops what is written': 'CREATE TRIGGER t BEFORE INSERT ON record BEGIN SELECT RAISE(IGNORE); END',
    'a trigger that keeps what is deleted':
      'CREATE TABLE kept (body); CREATE TRIGGER t AFTER DELETE ON record BEGIN INSERT INTO kept VALUES (old.body); END',
    'a view': 'CREATE VIEW v AS SELECT * FROM record',
    'an index': 'CREATE INDEX i ON record (body)',
    'another table': 'CREATE TABLE other (a)',
    'no table at all': 'DROP TABLE record',
    'a table of another form': 'DROP TABLE record; CREATE TABLE record (kind, tag, body, PRIMARY KEY (kind, tag))',
  };
  for (const [what, sql] of Object.entries(additions)) {
    it(`refuses a store to which another program added ${what}`, (t) => {
      const file = newFile(t);
      SqliteStore.open(file).close();
      editFile(file, (database) => database.exec(sql));
      assert.throws(() => SqliteStore.open(file), fails('damaged', /did not make/));
    });
  }
});

describe('SqliteStore get() and list()', () => {
  const tag = fc.uint8Array({ maxLength: 20 });

  it('return every record of a kind once, in the order of tags, for any page size', (t) => {
    fc.assert(
      fc.property(
        fc.uniqueArray(tag, { selector: hex, maxLength: 30 }),
        fc.integer({ min: 1, max: 9 }),
        (tags, limit) => {
          const store = SqliteStore.open(newFile(t));
          try {
            const records = tags.map((bytes) => ({ kind: KIND.value, tag: bytes, body: Buffer.from(hex(bytes)) }));
            commit(store, 1, [...records, { kind: KIND.credential, tag: Buffer.of(1), body: Buffer.of(2) }]);
            const listed: SealedRecord[] = [];
            let page: SealedRecord[];
            do {
              page = store.list(KIND.value, listed.at(-1)?.tag, limit);
              listed.push(...page);
            } while (page.length === limit);
            assert.deepEqual(
              listed.map((record) => hex(record.tag)),
              tags.map(hex).toSorted(),
            );
            for (const record of listed) {
              assert.equal(text(record.body), hex(record.tag));
              assert.equal(record.kind, KIND.value);
              assert.equal(text(store.get(KIND.value, record.tag)), hex(record.tag));
            }
          } finally {
            store.close();
          }
        },
      ),
      { numRuns: 15 },
    );
  });

  it('find no record under another kind, or under a prefix of its tag', (t) => {
    const store = open(t);
    commit(store, 1, [value('abcd')]);
    assert.equal(store.get(KIND.credential, Buffer.from('abcd')), undefined);
    assert.equal(store.get(KIND.value, Buffer.from('abc')), undefined);
    assert.equal(store.get(KIND.value, Buffer.from('abcd\0')), undefined);
    assert.deepEqual(store.list(KIND.credential, undefined, 10), []);
  });
});

describe('SqliteStore.begin()', () => {
  it('hides its changes until the commit, and shows them after it', (t) => {
    const store = open(t);
    commit(store, 1, [value('a', 'old'), value('b')]);
    const transaction = store.begin(Buffer.of(1));
    transaction.put(value('a', 'new'));
    transaction.delete(KIND.value, Buffer.from('b'));
    transaction.put({ ...HEAD, body: Buffer.of(2) });
    assert.equal(text(store.get(KIND.value, Buffer.from('a'))), 'old');
    assert.equal(store.list(KIND.value, undefined, 10).length, 2);
    transaction.commit();
    assert.equal(text(store.get(KIND.value, Buffer.from('a'))), 'new');
    assert.equal(store.list(KIND.value, undefined, 10).length, 1);
  });

  it('leaves nothing of a transaction whose commit failed, and lets the next one begin', (t) => {
    const store = open(t);
    commit(store, 1, [value('a', 'old')]);
    const memory = new Database(':memory:');
    t.after(() => memory.close());
    const statement = Object.getPrototypeOf(memory.prepare('SELECT 1')) as Database.Statement;
    const run = Reflect.get(statement, 'run');
    const failing = t.mock.method(statement, 'run', function runOrFail(this: Database.Statement, ...given: unknown[]) {
      if (this.source === 'COMMIT') throw new Database.SqliteError('disk I/O error', 'SQLITE_IOERR_FSYNC');
      return Reflect.apply(run, this, given);
    });
    const transaction = store.begin(Buffer.of(1));
    transaction.put(value('a', 'new'));
    assert.throws(() => transaction.commit(), fails('io'));
    failing.mock.restore();
    assert.equal(text(store.get(KIND.value, Buffer.from('a'))), 'old');
    commit(store, 2, [value('b')]);
    assert.equal(text(store.get(KIND.value, Buffer.from('a'))), 'old');
  });

  it('reports a commit as done even if the file cannot be checked afterwards', (t) => {
    const file = newFile(t);
    const store = SqliteStore.open(file);
    t.after(() => store.close());
    commit(store, 1, [value('a', 'old')]);
    const directory = path.dirname(file);
    const elsewhere = `${directory}-elsewhere`;
    const whileItLeadsInCircles = (work: () => void): void => {
      fs.renameSync(directory, elsewhere);
      try {
        fs.symlinkSync(directory, directory);
        assert.throws(() => fs.statSync(file), { code: 'ELOOP' });
        work();
      } finally {
        fs.rmSync(directory);
        fs.renameSync(elsewhere, directory);
      }
    };
    const transaction = store.begin(Buffer.of(1));
    transaction.put(value('a', 'new'));
    transaction.put({ ...HEAD, body: Buffer.of(2) });
    whileItLeadsInCircles(() => transaction.commit());
    assert.equal(text(store.get(KIND.value, Buffer.from('a'))), 'new');
    whileItLeadsInCircles(() => store.purge());
    commit(store, 3, [value('b')]);
    assert.equal(text(store.get(KIND.value, Buffer.from('b'))), 'body');
  });

  it('has each commit on the disk when commit() returns', { skip: skipUnless(tracer) }, (t) => {
    const file = newFile(t);
    const trace = path.join(temporaryDirectory(t), 'trace');
    const script = `
      const { SqliteStore } = await import(process.argv[1]);
      const { writeSync } = await import('node:fs');
      const store = SqliteStore.open(process.argv[2]);
      const [kind, tag] = [${HEAD.kind}, Buffer.from('${Buffer.from(HEAD.tag).toString()}')];
      for (let number = 1; number <= 3; number += 1) {
        const transaction = store.begin(number === 1 ? undefined : Buffer.of(number - 1));
        transaction.put({ kind, tag, body: Buffer.of(number) });
        writeSync(1, 'commits');
        transaction.commit();
        writeSync(1, 'returns');
      }`;
    const module = new URL('../../../daemon/store/sqlite-store.ts', import.meta.url).href;
    const node = [process.execPath, '--input-type=module', '-e', script, module, file];
    execFileSync('strace', ['-qq', '-y', '-o', trace, '--trace=write,pwrite64,fsync,fdatasync', ...node]);
    const commits = fs.readFileSync(trace, 'utf8').split('"commits"').slice(1);
    const calls = commits.map((lines) => {
      const [during = ''] = lines.split('"returns"');
      const ofWal = during.split('\n').filter((line) => line.includes(`${file}-wal>`));
      return ofWal.map((line) => line.split('(')[0] ?? '');
    });
    assert.equal(calls.length, 3);
    for (const names of calls) {
      assert.ok(names.includes('pwrite64'), names.join());
      assert.match(names.at(-1) ?? '', /^f(?:data)?sync$/);
    }
  });

  it('leaves nothing of a transaction that is rolled back', (t) => {
    const store = open(t);
    commit(store, 1, [value('a', 'old')]);
    const transaction = store.begin(Buffer.of(1));
    transaction.put(value('a', 'new'));
    transaction.rollback();
    transaction.rollback();
    assert.equal(text(store.get(KIND.value, Buffer.from('a'))), 'old');
    commit(store, 2, [value('a', 'newer')]);
    assert.equal(text(store.get(KIND.value, Buffer.from('a'))), 'newer');
  });

  for (const [what, expected] of Object.entries({
    'no head': undefined,
    'another head': Buffer.of(7),
    'an empty head': Buffer.of(),
  })) {
    it(`refuses if ${what} was expected, and lets the next transaction begin`, (t) => {
      const store = open(t);
      commit(store, 1, []);
      assert.throws(() => store.begin(expected), fails('changed_by_other'));
      commit(store, 2, [value('a')]);
    });
  }

  it('refuses an empty store if a head was expected', (t) => {
    assert.throws(() => open(t).begin(Buffer.of(1)), fails('changed_by_other'));
  });

  it('refuses if another program changed the head', (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a')]);
    editFile(file, (database) => database.prepare('UPDATE record SET body = ? WHERE kind = 1').run(Buffer.of(9)));
    assert.throws(() => store.begin(Buffer.of(1)), fails('changed_by_other'));
  });

  for (const [what, replace] of Object.entries({
    deleted: (file: string): void => fs.rmSync(file),
    'replaced by a copy': (file: string): void => {
      fs.copyFileSync(file, `${file}.copy`);
      fs.renameSync(`${file}.copy`, file);
    },
    'moved away': (file: string): void => fs.renameSync(file, `${file}.away`),
    'deprived of its WAL': (file: string): void => fs.rmSync(`${file}-wal`),
  })) {
    it(`refuses if the file was ${what}: the write would not be in it`, (t) => {
      const file = newFile(t);
      const store = open(t, file);
      commit(store, 1, [value('a', 'kept')]);
      replace(file);
      assert.throws(() => store.begin(Buffer.of(1)), fails('changed_by_other', /deleted or replaced/));
      assert.equal(text(store.get(KIND.value, Buffer.from('a'))), 'kept');
    });
  }

  it('checkpoints the committed pages if the WAL was deleted', (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a', 'kept')]);
    fs.rmSync(`${file}-wal`);
    assert.throws(() => store.begin(Buffer.of(1)), fails('changed_by_other'));
    const copy = newFile(t);
    fs.copyFileSync(file, copy);
    assert.equal(text(open(t, copy).get(KIND.value, Buffer.from('a'))), 'kept');
  });

  it("does not wait long for another program's lock, and works after it", (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, []);
    editFile(file, (other) => {
      other.exec('BEGIN IMMEDIATE');
      // The minimum of several waits excludes unrelated delays.
      const waits = Array.from({ length: 5 }, () => {
        const started = performance.now();
        assert.throws(() => store.begin(Buffer.of(1)), fails('changed_by_other'));
        return performance.now() - started;
      });
      assert.ok(Math.min(...waits) < 1000, waits.join(' '));
    });
    commit(store, 2, [value('a')]);
  });

  it('keeps everything, and stays usable, if the disk is full', { skip: skipUnless(mounting) }, async (t) => {
    const file = path.join(smallDisk(t, 512), 'credentials.db');
    const store = open(t, file);
    commit(store, 1, [value('a', 'kept')]);
    const transaction = store.begin(Buffer.of(1));
    assert.throws(() => {
      for (let index = 0; index < 100; index += 1) transaction.put(value(`large ${index}`, randomBytes(20_000)));
      transaction.commit();
    }, fails('full'));
    transaction.rollback();
    assert.equal(text(store.get(KIND.value, Buffer.from('a'))), 'kept');
    assert.deepEqual(await store.findPageDamage(), []);
    commit(store, 2, [value('b', 'small')]);
    assert.deepEqual(
      rowsOf(file).map(({ tag }) => text(tag)),
      ['head', 'a', 'b'],
    );
  });

  it('reads from a read-only file system, and refuses to write', { skip: skipUnless(mounting) }, (t) => {
    const disk = smallDisk(t, 512);
    const file = newFile(t);
    commit(open(t, file), 1, [value('a', 'kept')]);
    // As left by a killed daemon: SQLite can read them, since the WAL index exists.
    for (const name of fs.readdirSync(path.dirname(file))) {
      fs.copyFileSync(path.join(path.dirname(file), name), path.join(disk, name));
    }
    makeReadOnly(disk);
    const readOnly = open(t, path.join(disk, path.basename(file)));
    assert.equal(text(readOnly.get(KIND.value, Buffer.from('a'))), 'kept');
    const transaction = readOnly.begin(Buffer.of(1));
    assert.throws(() => transaction.put(value('b')), fails('read_only'));
    transaction.rollback();
    assert.equal(text(readOnly.get(KIND.value, Buffer.from('a'))), 'kept');
  });
});

describe('SqliteStore.purge()', () => {
  const secret = randomBytes(3000);

  function isInFiles(file: string): boolean {
    const parts = [secret.subarray(0, 200), secret.subarray(2000, 2200)];
    const directory = path.dirname(file);
    const files = fs.readdirSync(directory).map((name) => fs.readFileSync(path.join(directory, name)));
    return files.some((content) => parts.some((part) => content.includes(part)));
  }

  it('removes deleted data from the file and the WAL', (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a', secret), value('b', 'kept')]);
    store.purge();
    assert.ok(isInFiles(file));
    const transaction = store.begin(Buffer.of(1));
    transaction.delete(KIND.value, Buffer.from('a'));
    transaction.put({ ...HEAD, body: Buffer.of(2) });
    transaction.commit();
    store.purge();
    assert.ok(!isInFiles(file));
    assert.equal(text(store.get(KIND.value, Buffer.from('b'))), 'kept');
  });

  it('removes data that was deleted before it was ever checkpointed', (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a', secret)]);
    const transaction = store.begin(Buffer.of(1));
    transaction.delete(KIND.value, Buffer.from('a'));
    transaction.put({ ...HEAD, body: Buffer.of(2) });
    transaction.commit();
    store.get(KIND.value, Buffer.from('b'));
    store.purge();
    assert.ok(!isInFiles(file));
  });

  it('reports a reader in another program that keeps the WAL from being emptied', (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a', secret)]);
    editFile(file, (other) => {
      other.exec('BEGIN');
      other.prepare('SELECT count(*) FROM record').get();
      commit(store, 2, [value('b')]);
      assert.throws(() => store.purge(), fails('changed_by_other'));
    });
    store.purge();
  });
});

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

/** Returns undefined if files can be made immutable even for root, or what is missing for that. */
function immutableFiles(): string | undefined {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cio-test-immutable-'));
  try {
    const set = spawnSync('chattr', ['+i', directory]);
    if (set.status !== 0) return 'chattr +i';
    execFileSync('chattr', ['-i', directory]);
    return undefined;
  } finally {
    fs.rmdirSync(directory);
  }
}

describe('SqliteStore with an immutable WAL index', () => {
  const refused = fails('io', /WAL index .* cannot be written: operation not permitted/);

  /** Runs `work` while nobody may write to the index. */
  async function whileImmutable(file: string, work: () => unknown): Promise<void> {
    execFileSync('chattr', ['+i', `${file}-shm`]);
    try {
      // Otherwise the dirty pages of the index would be written back later, which lets one more write to them through.
      execFileSync('sync', [`${file}-shm`]);
      await work();
    } finally {
      execFileSync('chattr', ['-i', `${file}-shm`]);
    }
  }

  it('still reads, refuses to write, and writes again once it may', { skip: skipUnless(immutableFiles) }, async (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a'), value('b')]);
    assert.equal(text(store.get(KIND.value, Buffer.from('a'))), 'body');
    await whileImmutable(file, async () => {
      for (const work of [() => store.begin(Buffer.of(1)), () => store.purge(), () => store.openSnapshot()]) {
        assert.throws(work, refused);
      }
      await assert.rejects(store.copyTo(`${file}.copy`), refused);
      await assert.rejects(store.findPageDamage(), refused);
      assert.equal(text(store.get(KIND.value, Buffer.from('b'))), 'body');
    });
    commit(store, 2, [value('c')]);
    // If no reader was active since, SQLite would have to note a reader in the index.
    await whileImmutable(file, () => {
      for (const work of [
        () => store.openSnapshot(),
        () => store.copyBytes(),
        () => store.get(KIND.value, Buffer.from('c')),
      ]) {
        assert.throws(work, refused);
      }
    });
    assert.equal(text(store.get(KIND.value, Buffer.from('c'))), 'body');
    store.purge();
  });
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

describe("a transaction larger than SQLite's page cache", { skip: skipUnless(root, failingDisks) }, () => {
  it('leaves no frames for the next one to be written over if the disk refused them', (t) => {
    const disk = new FailingDisk(t);
    const file = path.join(disk.directory, 'credentials.db');
    const store = SqliteStore.open(file);
    commit(store, 1, []);
    store.purge();
    disk.fail();
    const large = store.begin(Buffer.of(1));
    const body = 'x'.repeat(60_000);
    assert.throws(() => {
      for (let index = 0; index < 100; index += 1) large.put(value(`a${index}`, body));
    }, fails('full'));
    large.rollback();
    disk.work();
    commit(store, 2, []);
    const wal = fs.openSync(`${file}-wal`, 'r');
    const start = (): string => fs.readFileSync(`${file}-wal`).toString('hex', 0, 32);
    const inMemory = start();
    dropCachedPages(wal);
    fs.closeSync(wal);
    const onDisk = start();
    store.close();
    assert.equal(onDisk, inMemory);
  });
});

describe('a WAL that SQLite checkpoints by itself', { skip: skipUnless(root, failingDisks) }, () => {
  it("is on the disk in the end, even if the disk refused the file's pages at first", async (t) => {
    const disk = new FailingDisk(t);
    const file = path.join(disk.directory, 'credentials.db');
    const sizeOf = (name: string): number => fs.statSync(name).size;
    const store = SqliteStore.open(file);
    const kept = new Map<string, string>();
    let head: Uint8Array | undefined;
    let count = 0;
    const keep = (...tags: string[]): void => {
      count += 1;
      const [next, body] = [Buffer.from(`${count}`), `${count} `.repeat(15_000)];
      const transaction = store.begin(head);
      for (const tag of tags) transaction.put(value(tag, body));
      transaction.put({ ...HEAD, body: next });
      transaction.commit();
      head = next;
      for (const tag of tags) kept.set(tag, body);
    };
    const many = Array.from({ length: 10 }, (_, index) => `a${index}`);
    // From here on, the WAL has its blocks on the disk, and new pages of the file have none.
    for (keep(...many); sizeOf(file) < 200_000;) keep(...many);
    keep('a0');
    disk.fail();
    for (let index = 0; index < 25; index += 1) keep(`b${index}`);
    for (const before = sizeOf(file); sizeOf(file) === before;) keep('a0');
    disk.work();
    keep('a0');
    keep('a0');
    store.close();
    disk.forget();
    const again = open(t, file);
    assert.deepEqual(await again.findPageDamage(), []);
    for (const [tag, body] of kept) assert.equal(text(again.get(KIND.value, Buffer.from(tag))), body, tag);
  });
});

describe('SqliteStore.copyTo()', () => {
  it('copies the state after one commit, whatever is committed and begun meanwhile', async (t) => {
    const file = newFile(t);
    const store = open(t, file);
    const many = Array.from({ length: 3000 }, (_, index) => value(`n${index}`, 'x'.repeat(1000)));
    commit(store, 1, many);
    const target = path.join(path.dirname(file), 'copy.db');
    const copying = store.copyTo(target);
    let number = 1;
    const state = { isDone: false };
    const done = copying.finally(() => {
      state.isDone = true;
    });
    while (!state.isDone) {
      number += 1;
      commit(store, number, [value('n0', `${number}`), value('n2999', `${number}`)]);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    await done;
    assert.ok(number > 2, 'nothing was committed meanwhile');
    const open_ = store.begin(Buffer.of(number));
    open_.put(value('uncommitted'));
    const second = path.join(path.dirname(file), 'second.db');
    await store.copyTo(second);
    open_.rollback();
    const copy = open(t, target);
    assert.equal(text(copy.get(KIND.value, Buffer.from('n0'))), text(copy.get(KIND.value, Buffer.from('n2999'))));
    assert.deepEqual(await copy.findPageDamage(), []);
    assert.deepEqual(rowsOf(second), rowsOf(file));
    assert.ok(!fs.existsSync(`${target}-journal`));
  });

  it('lets the WAL be emptied afterwards, whether the copy succeeded or not', async (t) => {
    const file = newFile(t);
    const store = open(t, file);
    const folder = path.dirname(file);
    for (const [index, target] of [path.join(folder, 'copy.db'), path.join(folder, 'no', 'copy.db')].entries()) {
      commit(store, index + 1, [value('a')]);
      const [made] = await Promise.allSettled([store.copyTo(target)]);
      assert.equal(made.status, index === 0 ? 'fulfilled' : 'rejected');
      store.purge();
      assert.equal(fs.statSync(`${file}-wal`).size, 0);
    }
  });

  it('fails if the file was replaced or there is no room, and leaves the store unchanged', async (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a')]);
    await assert.rejects(store.copyTo(path.join(path.dirname(file), 'no', 'copy.db')));
    fs.renameSync(file, `${file}.away`);
    fs.copyFileSync(`${file}.away`, file);
    await assert.rejects(store.copyTo(path.join(path.dirname(file), 'copy.db')), fails('changed_by_other'));
  });

  it('fails if the copy cannot be locked, and does not make it', async (t) => {
    const store = open(t);
    commit(store, 1, [value('a')]);
    const target = newFile(t);
    const other = new Database(target);
    t.after(() => other.close());
    other.exec('BEGIN EXCLUSIVE');
    await assert.rejects(store.copyTo(target), fails('io', /the copy cannot be locked/));
    other.exec('ROLLBACK');
    await store.copyTo(target);
    const copy = open(t, target);
    assert.equal(text(copy.get(KIND.value, Buffer.from('a'))), 'body');
  });

  it('reports a full disk', { skip: skipUnless(mounting) }, async (t) => {
    const store = open(t);
    commit(store, 1, [value('a', 'x'.repeat(100_000))]);
    const disk = smallDisk(t, 64);
    await assert.rejects(store.copyTo(path.join(disk, 'copy.db')), fails('full'));
    assert.equal(text(store.get(KIND.value, Buffer.from('a')))?.length, 100_000);
  });
});

describe('SqliteStore.begin() with skipsCheckpoint', () => {
  it('leaves the checkpoint of its commit to the following purge', (t) => {
    const large = Array.from({ length: 17 }, (_, index) => value(`large ${index}`, randomBytes(1024 * 1024)));
    const sizes = [false, true].map((skipsCheckpoint) => {
      const file = newFile(t);
      const store = open(t, file);
      const transaction = store.begin(undefined);
      for (const record of large) transaction.put(record);
      transaction.commit(skipsCheckpoint);
      const { size } = fs.statSync(file);
      store.purge();
      assert.ok(fs.statSync(file).size > 17 * 1024 * 1024);
      return size;
    });
    assert.ok((sizes[0] ?? 0) > 17 * 1024 * 1024 && (sizes[1] ?? 0) < 100_000, sizes.join());
  });
});

describe('SqliteStore.copyBytes()', () => {
  it('returns the size of a copy, however much of it is still in the WAL', async (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a', 'x'.repeat(500_000)), value('b')]);
    // Most of it is still in the WAL.
    const bytes = store.copyBytes();
    const copy = path.join(path.dirname(file), 'copy.db');
    await store.copyTo(copy);
    assert.equal(bytes, fs.statSync(copy).size);
    assert.ok(bytes > 500_000);
  });
});

describe('SqliteStore', () => {
  it('opens a file made by the migrations alone', (t) => {
    const file = newFile(t);
    editFile(file, (database) => migrate(database));
    commit(open(t, file), 1, [value('a')]);
  });
});

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
