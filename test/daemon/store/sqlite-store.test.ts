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
import { forgetPages } from '../../../daemon/kernel/libc.ts';
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

/** Opening fails, and neither the file nor its folder is any different. */
function assertRefusedUntouched(file: string, failure: StoreFailure, message: RegExp): void {
  const before = contentOf(path.dirname(file));
  assert.throws(() => SqliteStore.open(file), fails(failure, message));
  const after = contentOf(path.dirname(file));
  // Where there is a journal, SQLite makes an index of it, in which there is nothing that the journal has not.
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

  it('finds again what was committed', (t) => {
    const file = newFile(t);
    const store = SqliteStore.open(file);
    commit(store, 1, [value('a', 'first')]);
    store.close();
    assert.equal(text(open(t, file).get(KIND.value, Buffer.from('a'))), 'first');
  });

  for (const version of [FORMAT_VERSION + 1, 99, 2 ** 31 - 1]) {
    it(`leaves a file of version ${version} alone, to the byte`, (t) => {
      const file = newFile(t);
      SqliteStore.open(file).close();
      editFile(file, (database) => database.pragma(`user_version = ${version}`));
      assert.deepEqual(Object.keys(contentOf(path.dirname(file))), ['credentials.db']);
      assertRefusedUntouched(file, 'newer', new RegExp(`format ${version}.*not touched`));
    });
  }

  it('leaves a file alone whose newer version is still in its journal', (t) => {
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
    it(`leaves another program's database alone, with ${what}`, (t) => {
      const file = newFile(t);
      editFile(file, (database) => database.exec(sql));
      assertRefusedUntouched(file, 'damaged', /another program/);
    });
  }

  it("leaves another program's database alone that is in its journal only", (t) => {
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
    it(`leaves a file of ${what} alone`, (t) => {
      const file = newFile(t);
      fs.writeFileSync(file, bytes);
      assertRefusedUntouched(file, 'damaged', /no SQLite database/);
    });
  }

  it('says why it cannot read the file', (t) => {
    const file = newFile(t);
    fs.mkdirSync(file);
    assert.throws(() => SqliteStore.open(file), fails('io', /directory/));
  });

  for (const end of ['', '-wal']) {
    it(`does not wait for a FIFO (credentials.db${end})`, (t) => {
      const file = newFile(t);
      execFileSync('mkfifo', [`${file}${end}`]);
      // In a process of its own: who waits for a FIFO can be stopped by nothing else.
      const store = new URL('../../../daemon/store/sqlite-store.ts', import.meta.url).href;
      const script = `const { SqliteStore } = await import(${JSON.stringify(store)});
        try { SqliteStore.open(${JSON.stringify(file)}); } catch (error) { console.log(error.failure, error.message); }`;
      const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 60_000 });
      assert.match(said.toString(), /^io cannot read the .*store: it is a FIFO$/m);
    });
  }

  it(
    'is open for writing, or not open, where the system once does not open its file',
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

  it('says that the storage failed where the system does not say what its file is', (t) => {
    const file = newFile(t);
    const store = open(t, file);
    fs.rmSync(file);
    fs.symlinkSync(file, file);
    assert.throws(() => store.begin(undefined), fails('io', /^the storage failed: too many symbolic links/));
    assert.throws(() => store.openSnapshot(), fails('io'));
    assert.throws(() => SqliteStore.open(path.join(file, 'below')), fails('io'));
  });

  for (const [what, lose] of Object.entries({ empty: fs.truncateSync, gone: fs.rmSync })) {
    it(`does not begin anew where the file is ${what}, and its journal is there`, (t) => {
      const made = newFile(t);
      commit(open(t, made), 1, [value('a')]);
      const copy = newFile(t);
      for (const end of ['', '-wal']) fs.copyFileSync(`${made}${end}`, `${copy}${end}`);
      lose(copy);
      assertRefusedUntouched(copy, 'damaged', /its journal is there/);
    });
  }

  it('makes a store of an empty file, and of one whose first commit never came', (t) => {
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
    'no table': 'DROP TABLE record',
    'a table of another form': 'DROP TABLE record; CREATE TABLE record (kind, tag, body, PRIMARY KEY (kind, tag))',
  };
  for (const [what, sql] of Object.entries(additions)) {
    it(`refuses a store that was given ${what}`, (t) => {
      const file = newFile(t);
      SqliteStore.open(file).close();
      editFile(file, (database) => database.exec(sql));
      assert.throws(() => SqliteStore.open(file), fails('damaged', /did not make/));
    });
  }
});

describe('SqliteStore get() and list()', () => {
  const tag = fc.uint8Array({ maxLength: 20 });

  it('gives every record of a kind once, in the order of tags, however long the pages are', (t) => {
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

  it('finds no record under another kind, or under the start of its tag', (t) => {
    const store = open(t);
    commit(store, 1, [value('abcd')]);
    assert.equal(store.get(KIND.credential, Buffer.from('abcd')), undefined);
    assert.equal(store.get(KIND.value, Buffer.from('abc')), undefined);
    assert.equal(store.get(KIND.value, Buffer.from('abcd\0')), undefined);
    assert.deepEqual(store.list(KIND.credential, undefined, 10), []);
  });
});

describe('SqliteStore.begin()', () => {
  it('shows its changes to nobody before the commit, and to all after it', (t) => {
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

  it('has committed where only what became of the file cannot be looked at', (t) => {
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

  it('is on the disk when commit() returns, each one', { skip: skipUnless(tracer) }, (t) => {
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
      const ofJournal = during.split('\n').filter((line) => line.includes(`${file}-wal>`));
      return ofJournal.map((line) => line.split('(')[0] ?? '');
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
    it(`refuses where ${what} was expected, and lets the next one begin`, (t) => {
      const store = open(t);
      commit(store, 1, []);
      assert.throws(() => store.begin(expected), fails('changed_by_other'));
      commit(store, 2, [value('a')]);
    });
  }

  it('refuses an empty store where a head was expected', (t) => {
    assert.throws(() => open(t).begin(Buffer.of(1)), fails('changed_by_other'));
  });

  it('refuses where another program changed the head', (t) => {
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
    'robbed of its journal': (file: string): void => fs.rmSync(`${file}-wal`),
  })) {
    it(`refuses where the file was ${what}: the write would not be in it`, (t) => {
      const file = newFile(t);
      const store = open(t, file);
      commit(store, 1, [value('a', 'kept')]);
      replace(file);
      assert.throws(() => store.begin(Buffer.of(1)), fails('changed_by_other', /deleted or replaced/));
      assert.equal(text(store.get(KIND.value, Buffer.from('a'))), 'kept');
    });
  }

  it('moves what was committed to the file, where the journal was deleted', (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a', 'kept')]);
    fs.rmSync(`${file}-wal`);
    assert.throws(() => store.begin(Buffer.of(1)), fails('changed_by_other'));
    const copy = newFile(t);
    fs.copyFileSync(file, copy);
    assert.equal(text(open(t, copy).get(KIND.value, Buffer.from('a'))), 'kept');
  });

  it('does not wait long for another program that holds the file, and goes on after it', (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, []);
    editFile(file, (other) => {
      other.exec('BEGIN IMMEDIATE');
      // The shortest of several is the one that nothing else held up.
      const waits = Array.from({ length: 5 }, () => {
        const started = performance.now();
        assert.throws(() => store.begin(Buffer.of(1)), fails('changed_by_other'));
        return performance.now() - started;
      });
      assert.ok(Math.min(...waits) < 1000, waits.join(' '));
    });
    commit(store, 2, [value('a')]);
  });

  it('keeps everything, and stays of use, when the disk is full', { skip: skipUnless(mounting) }, async (t) => {
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

  it('reads from a read-only file system, and refuses to write there', { skip: skipUnless(mounting) }, (t) => {
    const disk = smallDisk(t, 512);
    const file = newFile(t);
    commit(open(t, file), 1, [value('a', 'kept')]);
    // As a daemon leaves them that was killed: SQLite can read there, what it needs is made already.
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

  it('takes what was deleted out of the file and its journal', (t) => {
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

  it('takes out what was deleted before it ever reached the file', (t) => {
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

  it('says so where another program that reads keeps the journal from being emptied', (t) => {
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

  it('reads what lies on the other pages, however often, and still commits', (t) => {
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

  it('reads a page again that came wrong, as soon as the disk gives what is on it', (t) => {
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

  it('findPageDamage() tells of it, and of none in a file that is whole', async (t) => {
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
    assert.deepEqual(await large.findPageDamage(), [], 'by another process, of what is in the journal still');
    const one = newFile(t);
    large.purge();
    await large.copyTo(one);
    const bytes = fs.readFileSync(one);
    // A page in the middle of the tree is the first of its level; those of large bodies are not looked into.
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

  it('refuses to write over an older copy that was written over it', (t) => {
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

  it('goes on where the journal was moved to it, or its time was set', (t) => {
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

describe('SqliteStore on a file that another program added something to', () => {
  for (const megabytes of [0, 17]) {
    it(`findPageDamage() tells what would keep it from being opened again, of ${megabytes} MiB`, async (t) => {
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

/** Makes the schema another for a while, past SQLite's checks. */
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

describe('SqliteStore on rows that SQLite would not have let in', () => {
  for (const [what, body] of Object.entries({
    'no body': null,
    'a number for a body': 7,
    'a text for a body': 'text',
  })) {
    it(`gives empty bytes for ${what}, and the records beside it`, (t) => {
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

/** Files that nobody may write to, root included. */
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

describe('SqliteStore whose journal has an index that is made immutable', () => {
  const refused = fails('io', /index of the journal .* cannot be written: operation not permitted/);

  /** Runs `work` while nobody may write to the index. */
  async function whileImmutable(file: string, work: () => unknown): Promise<void> {
    execFileSync('chattr', ['+i', `${file}-shm`]);
    try {
      // Before that, its pages are to go to the disk anyway, and one more write to them is let through.
      execFileSync('sync', [`${file}-shm`]);
      await work();
    } finally {
      execFileSync('chattr', ['-i', `${file}-shm`]);
    }
  }

  it('reads on, writes nothing, and writes when it may again', { skip: skipUnless(immutableFiles) }, async (t) => {
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
    // Where nobody has read since, SQLite would note in the index that somebody does.
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
  it('gives empty bytes in its place, and the records beside it', (t) => {
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

describe('a transaction larger than what SQLite keeps in memory', { skip: skipUnless(root, failingDisks) }, () => {
  it('leaves nothing that the next one lays itself over, where the disk did not take it', (t) => {
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
    const journal = fs.openSync(`${file}-wal`, 'r');
    const start = (): string => fs.readFileSync(`${file}-wal`).toString('hex', 0, 32);
    const inMemory = start();
    forgetPages(journal);
    fs.closeSync(journal);
    const onDisk = start();
    store.close();
    assert.equal(onDisk, inMemory);
  });
});

describe('a journal that SQLite moves to the file by itself', { skip: skipUnless(root, failingDisks) }, () => {
  it('is on the disk at last, where that did not take it at first', async (t) => {
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
    // From then on the journal has its place on the disk, and what is new in the file has none.
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
  it('makes a store of one commit, whatever is committed and begun meanwhile', async (t) => {
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

  it('lets the journal be emptied afterwards, made or not', async (t) => {
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

  it('fails where the file was replaced, or there is no room, and with the store as it was', async (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a')]);
    await assert.rejects(store.copyTo(path.join(path.dirname(file), 'no', 'copy.db')));
    fs.renameSync(file, `${file}.away`);
    fs.copyFileSync(`${file}.away`, file);
    await assert.rejects(store.copyTo(path.join(path.dirname(file), 'copy.db')), fails('changed_by_other'));
  });

  it('fails where the copy cannot be locked, and is not made', async (t) => {
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

  it('says that a disk is full', { skip: skipUnless(mounting) }, async (t) => {
    const store = open(t);
    commit(store, 1, [value('a', 'x'.repeat(100_000))]);
    const disk = smallDisk(t, 64);
    await assert.rejects(store.copyTo(path.join(disk, 'copy.db')), fails('full'));
    assert.equal(text(store.get(KIND.value, Buffer.from('a')))?.length, 100_000);
  });
});

describe('SqliteStore.begin()', () => {
  it('has a commit that leaves in the journal what a purge is to move', (t) => {
    const large = Array.from({ length: 17 }, (_, index) => value(`large ${index}`, randomBytes(1024 * 1024)));
    const sizes = [false, true].map((isPurged) => {
      const file = newFile(t);
      const store = open(t, file);
      const transaction = store.begin(undefined);
      for (const record of large) transaction.put(record);
      transaction.commit(isPurged);
      const { size } = fs.statSync(file);
      store.purge();
      assert.ok(fs.statSync(file).size > 17 * 1024 * 1024);
      return size;
    });
    assert.ok((sizes[0] ?? 0) > 17 * 1024 * 1024 && (sizes[1] ?? 0) < 100_000, sizes.join());
  });
});

describe('SqliteStore.copyBytes()', () => {
  it('tells how large a copy is, whatever of it is in the journal yet', async (t) => {
    const file = newFile(t);
    const store = open(t, file);
    commit(store, 1, [value('a', 'x'.repeat(500_000)), value('b')]);
    // Most of it is still in the journal.
    const bytes = store.copyBytes();
    const copy = path.join(path.dirname(file), 'copy.db');
    await store.copyTo(copy);
    assert.equal(bytes, fs.statSync(copy).size);
    assert.ok(bytes > 500_000);
  });
});

describe('SqliteStore', () => {
  it('is made by the migrations', (t) => {
    const file = newFile(t);
    editFile(file, (database) => migrate(database));
    commit(open(t, file), 1, [value('a')]);
  });
});

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
