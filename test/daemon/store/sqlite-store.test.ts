import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import type { SealedRecord } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { skipUnless, tracer } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { editFile, rowsOf } from '../vault/raw-file.ts';
import { makeReadOnly, mounting, smallDisk } from './small-disk.ts';
import { HEAD, commit, fails, newFile, open, text, value } from './test-store.ts';

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

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
