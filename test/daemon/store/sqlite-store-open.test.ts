import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { APPLICATION_ID, FORMAT_VERSION, migrate } from '../../../daemon/store/migrations.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { StoreFailure } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { skipUnless, tracer } from '../../support/requirements.ts';
import { contentOf, editFile } from '../vault/raw-file.ts';
import { commit, fails, newFile, open, text, value } from './test-store.ts';

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

  for (const end of ['', '-wal', '-journal']) {
    it(`does not block on a FIFO (credentials.db${end})`, (t) => {
      const file = newFile(t);
      execFileSync('mkfifo', [`${file}${end}`]);
      // In a process of its own: one that blocks on a FIFO can only be killed.
      const store = new URL('../../../daemon/store/sqlite-store.ts', import.meta.url).href;
      const script = `const { SqliteStore } = await import(${JSON.stringify(store)});
        try { SqliteStore.open(${JSON.stringify(file)}); } catch (error) { console.log(error.failure, error.message); }`;
      const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 60_000 });
      assert.match(
        said.toString(),
        /^io (cannot read the .*store: it is a FIFO|credentials\.db-journal is not a regular file; .*)$/m,
      );
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

  it('refuses a WAL that is damaged before its last commit, and loses nothing once it is mended', (t) => {
    const made = newFile(t);
    const store = open(t, made);
    for (let number = 1; number <= 10; number += 1) commit(store, number, [value('a', `${number}`)]);
    const copy = newFile(t);
    for (const end of ['', '-wal']) fs.copyFileSync(`${made}${end}`, `${copy}${end}`);
    const wal = fs.readFileSync(`${copy}-wal`);
    const damaged = Buffer.from(wal);
    const at = Math.floor(wal.length / 3);
    damaged.writeUInt8(damaged.readUInt8(at) ^ 4, at);
    fs.writeFileSync(`${copy}-wal`, damaged);
    assertRefusedUntouched(copy, 'damaged', /write-ahead log \(-wal\) is damaged/);
    fs.writeFileSync(`${copy}-wal`, wal);
    assert.equal(text(open(t, copy).get(KIND.value, Buffer.from('a'))), '10');
  });

  it('says why it cannot read the WAL', { skip: skipUnless(tracer) }, (t) => {
    const made = newFile(t);
    commit(open(t, made), 1, [value('a')]);
    const copy = newFile(t);
    for (const end of ['', '-wal']) fs.copyFileSync(`${made}${end}`, `${copy}${end}`);
    const store = new URL('../../../daemon/store/sqlite-store.ts', import.meta.url).href;
    const script = `const { SqliteStore } = await import(${JSON.stringify(store)});
      try { SqliteStore.open(${JSON.stringify(copy)}); } catch (error) { console.log(error.failure, error.message); }`;
    const inject = ['-f', '-qq', '-o', '/dev/null', '-P', `${copy}-wal`, '--inject=pread64:error=EIO'];
    const command = [...inject, process.execPath, '--input-type=module', '-e', script];
    const said = execFileSync('strace', command, { encoding: 'utf8', timeout: 60_000 }).trim();
    assert.equal(said, 'io cannot read the write-ahead log (-wal) of the store: i/o error');
  });

  for (const [call, error, said] of [
    ['fsync', 'EIO', 'i/o error'],
    ['fsync', 'ENOSPC', 'no space left on device'],
    ['fsync', 'EDQUOT', 'disk quota exceeded'],
    ['openat', 'EMFILE', 'too many open files'],
  ] as const) {
    it(
      `refuses a WAL that cannot be synced (${call}, ${error}), and loses nothing`,
      { skip: skipUnless(tracer) },
      (t) => {
        const made = newFile(t);
        commit(open(t, made), 1, [value('a')]);
        const copy = newFile(t);
        for (const end of ['', '-wal']) fs.copyFileSync(`${made}${end}`, `${copy}${end}`);
        const wal = fs.readFileSync(`${copy}-wal`);
        const store = new URL('../../../daemon/store/sqlite-store.ts', import.meta.url).href;
        const script = `const { SqliteStore } = await import(${JSON.stringify(store)});
      try { SqliteStore.open(${JSON.stringify(copy)}); } catch (error) { console.log(error.failure, error.message); }`;
        // Only the first time: the kernel reports a failed write to one fsync(2).
        const inject = ['-f', '-qq', '-o', '/dev/null', '-P', `${copy}-wal`, `--inject=${call}:error=${error}:when=1`];
        const command = [...inject, process.execPath, '--input-type=module', '-e', script];
        const heard = execFileSync('strace', command, { encoding: 'utf8', timeout: 60_000 }).trim();
        assert.equal(heard, `io the write-ahead log (-wal) that the last daemon left cannot be synced: ${said}`);
        assert.deepEqual(fs.readFileSync(`${copy}-wal`), wal);
        assert.equal(text(open(t, copy).get(KIND.value, Buffer.from('a'))), 'body');
      },
    );
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

describe('SqliteStore', () => {
  it('opens a file made by the migrations alone', (t) => {
    const file = newFile(t);
    editFile(file, (database) => migrate(database));
    commit(open(t, file), 1, [value('a')]);
  });
});
