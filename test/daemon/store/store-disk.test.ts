import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { KIND, StoreError } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { StoreDisk } from '../../../daemon/store/store-disk.ts';
import { withIdentity } from '../../support/identity.ts';
import { command, root, skipUnless, tracer } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { mounting, smallDisk } from './small-disk.ts';

const NOBODY = { uid: 65_534, gid: 65_534 };
const RECORDS = 500;
/** More pages than are read before the first record, and fewer than hold all records. */
const PAGES_GIVEN = 40;

/** Makes a closed store with records on more than a hundred pages. */
function filledFile(directory: string): string {
  const file = path.join(directory, 'credentials.db');
  const store = SqliteStore.open(file);
  const transaction = store.begin(undefined);
  for (let index = 0; index < RECORDS; index += 1) {
    transaction.put({ kind: KIND.value, tag: Buffer.from(`${index}`), body: Buffer.alloc(1000) });
  }
  transaction.commit();
  store.close();
  return file;
}

/** Returns what a process prints that opens the store and then runs `script`. */
function run(prefix: readonly string[], file: string, script: string): string {
  return runBefore(prefix, file, `const store = SqliteStore.open(file);\n${script}`);
}

/** Does the same with a process that has not opened the store yet. */
function runBefore(prefix: readonly string[], file: string, script: string): string {
  const module = new URL('../../../daemon/store/sqlite-store.ts', import.meta.url).href;
  const whole = `const { SqliteStore } = await import(${JSON.stringify(module)});
    const fs = await import('node:fs');
    const file = ${JSON.stringify(file)};
    ${script}`;
  const node = [process.execPath, '--input-type=module', '-e', whole];
  return execFileSync('env', [...prefix, ...node], { encoding: 'utf8', timeout: 60_000 }).trim();
}

function sqliteError(code: string): Error {
  return new Database.SqliteError('', code);
}

function explained(t: TestContext, file: string, code: string): StoreError {
  const disk = StoreDisk.open(file);
  t.after(() => disk.close());
  const failure = disk.explain(sqliteError(code));
  assert.ok(failure instanceof StoreError);
  return failure;
}

describe('StoreDisk', () => {
  it('distinguishes a failed disk from a damaged page', { skip: skipUnless(tracer) }, (t) => {
    const file = filledFile(temporaryDirectory(t));
    const inject = ['-f', '-qq', '-o', '/dev/null', '-P', file, `--inject=pread64:error=EIO:when=${PAGES_GIVEN}+`];
    const said = run(
      ['strace', ...inject],
      file,
      `const { isOfSystem } = await import(${JSON.stringify(new URL('../../../daemon/store/file-error.ts', import.meta.url).href)});
      const said = new Set();
      const hear = async (work) => {
        try { said.add((await work())?.length === 0 ? 'no damage' : 'given'); }
        catch (error) { said.add([error.failure, error.message, isOfSystem(error.cause)].join(' ')); }
      };
      for (let index = 0; index < ${RECORDS}; index += 1) await hear(() => store.get(${KIND.value}, Buffer.from(String(index))));
      await hear(() => store.findPageDamage());
      store.close();
      console.log([...said].join('\\n'));`,
    );
    assert.deepEqual(said.split('\n'), ['given', 'io the disk of the store cannot be read: i/o error true']);
  });

  it('reports damage if the disk returns the file', (t) => {
    const file = filledFile(temporaryDirectory(t));
    for (const code of ['SQLITE_CORRUPT', 'SQLITE_NOTADB']) assert.equal(explained(t, file, code).failure, 'damaged');
  });

  it('reports that no file descriptors are left', { skip: skipUnless(command('prlimit', 'util-linux')) }, (t) => {
    const file = filledFile(temporaryDirectory(t));
    const said = run(
      ['prlimit', '--nofile=100'],
      file,
      `const open = [];
      try { for (;;) open.push(fs.openSync('/dev/null')); } catch {}
      try { store.openSnapshot(); } catch (error) { console.log(error.failure, error.message); }
      for (const fd of open) fs.closeSync(fd);
      store.openSnapshot().close();
      store.close();`,
    );
    assert.equal(said, 'io a file of the store cannot be opened: too many open files');
  });

  it('reports that a disk has no inodes left, and leaves no file', { skip: skipUnless(mounting) }, (t) => {
    const disk = smallDisk(t, 16_384, ['nr_inodes=10']);
    const file = filledFile(disk);
    const before = fs.readdirSync(disk);
    const others: string[] = [];
    assert.throws(() => {
      for (let index = 0; index < 20; index += 1) {
        const other = path.join(disk, `other-${index}`);
        fs.writeFileSync(other, '');
        others.push(other);
      }
    });
    assert.throws(
      () => SqliteStore.open(file),
      (error) =>
        error instanceof StoreError &&
        error.failure === 'full' &&
        error.message === 'a file of the store cannot be opened (no inodes are left): no space left on device',
    );
    for (const other of others) fs.rmSync(other);
    assert.deepEqual(fs.readdirSync(disk), before);
  });

  it(
    'reports an exhausted quota, and that nothing was written only if no fsync failed',
    { skip: skipUnless(tracer) },
    (t) => {
      for (const [call, error, said] of [
        ['pwrite64', 'EDQUOT', 'full a file of the store cannot be written: disk quota exceeded'],
        ['ftruncate,pwrite64', 'EDQUOT', 'full a file of the store cannot be written: disk quota exceeded'],
        ['fsync', 'EDQUOT', 'io a file of the store cannot be written: disk quota exceeded'],
        ['fsync', 'ENOSPC', 'io a file of the store cannot be written: no space left on device'],
        ['fsync', 'ENOSPC:when=1', 'io the storage failed (SQLITE_IOERR_FSYNC)'],
        ['fsync,close', 'EDQUOT', 'io a file of the store cannot be written: disk quota exceeded'],
      ] as const) {
        const file = filledFile(temporaryDirectory(t));
        const before = fs.readdirSync(path.dirname(file));
        const inject = ['-f', '-qq', '-o', '/dev/null', '-P', `${file}-wal`, '-P', `${file}-tried`];
        const heard = run(
          ['strace', ...inject, `--inject=${call}:error=${error}`],
          file,
          `const hear = (work) => { try { work(); } catch (error) { console.log(error.failure, error.message); } };
        const transaction = store.begin(undefined);
        transaction.put({ kind: ${KIND.value}, tag: Buffer.from('more'), body: Buffer.alloc(1000) });
        hear(() => transaction.commit());
        store.close();`,
        );
        assert.equal(heard, said, call);
        const left = fs.readdirSync(path.dirname(file)).filter((name) => !/-(wal|shm)$/.test(name));
        assert.deepEqual(left, before, call);
      }
    },
  );

  it('leaves no file if the process is killed during the attempt', { skip: skipUnless(tracer) }, (t) => {
    const file = filledFile(temporaryDirectory(t));
    const before = fs.readdirSync(path.dirname(file));
    const inject = ['-f', '-qq', '-o', '/dev/null', '-P', `${file}-tried`, '--inject=fsync:signal=KILL'];
    const module = new URL('../../../daemon/store/store-disk.ts', import.meta.url).href;
    const script = `const { default: Database } = await import('better-sqlite3');
      const { StoreDisk } = await import(${JSON.stringify(module)});
      StoreDisk.of(file).explain(new Database.SqliteError('', 'SQLITE_IOERR_WRITE'));`;
    assert.throws(() => runBefore(['strace', ...inject], file, script), { signal: 'SIGKILL' });
    assert.deepEqual(fs.readdirSync(path.dirname(file)), before);
  });

  it("distinguishes a file system without locks from another program's lock", { skip: skipUnless(tracer) }, (t) => {
    const file = filledFile(temporaryDirectory(t));
    const paths = ['', '-wal', '-shm', '-tried'].flatMap((end) => ['-P', `${file}${end}`]);
    const said = runBefore(
      ['strace', '-f', '-qq', '-o', '/dev/null', ...paths, '--inject=fcntl,flock:error=ENOLCK'],
      file,
      `try { SqliteStore.open(file); } catch (error) { console.log(error.failure, error.message); }`,
    );
    assert.equal(said, 'io a file of the store cannot be locked: no locks available');
    const other = new Database(file);
    t.after(() => other.close());
    other.pragma('journal_mode = DELETE');
    other.exec('BEGIN EXCLUSIVE');
    const full = ['strace', '-f', '-qq', '-o', '/dev/null', '-P', `${file}-tried`, '--inject=openat:error=ENOSPC'];
    const saidWhenFull = runBefore(
      full,
      file,
      `try { SqliteStore.open(file); } catch (error) { console.log(error.failure, error.message); }`,
    );
    assert.equal(saidWhenFull, 'changed_by_other another program uses the store');
    assert.throws(
      () => SqliteStore.open(file),
      (error) => error instanceof StoreError && error.message === 'another program uses the store',
    );
  });

  it(
    'waits once for a file system without locks, then fails at once, and recovers when locks work',
    { skip: skipUnless(tracer) },
    (t) => {
      const file = filledFile(temporaryDirectory(t));
      const said = run(
        [],
        file,
        `const { spawn } = await import('node:child_process');
      const { once } = await import('node:events');
      // Nothing is locked between a commit and the next read. SQLite tries some five hundred times to get a lock.
      const transaction = store.begin(undefined);
      transaction.commit();
      const inject = ['-P', file + '-shm', '-P', file + '-tried', '--inject=fcntl:error=ENOLCK:when=1..800'];
      const tracer = spawn('strace', ['-o', '/dev/null', '-p', String(process.pid), ...inject]);
      for (let told = ''; !told.includes('attached'); ) told += (await once(tracer.stderr, 'data'))[0];
      const failures = [];
      for (let isRead = false; !isRead; ) {
        const began = performance.now();
        try {
          store.get(${KIND.value}, Buffer.from('1'));
          isRead = true;
        } catch (error) {
          failures.push([error.message, performance.now() - began > 5000]);
        }
      }
      tracer.kill();
      await once(tracer, 'exit');
      const slow = failures.filter(([, isSlow]) => isSlow).length;
      console.log(slow, failures.length > 100, [...new Set(failures.map(([message]) => message))].join());
      store.close();`,
      );
      assert.equal(said, '1 true a file of the store cannot be locked: no locks available');
    },
  );

  it('reports a file system that cannot map a file into shared memory', { skip: skipUnless(tracer) }, (t) => {
    const file = filledFile(temporaryDirectory(t));
    const said = runBefore(
      ['strace', '-f', '-qq', '-o', '/dev/null', '-P', `${file}-shm`, '--inject=mmap:error=ENODEV'],
      file,
      `try { SqliteStore.open(file); } catch (error) { console.log(error.failure, error.message); }`,
    );
    assert.match(said, /^io the WAL index \(-shm\) cannot be mapped into memory: /);
  });

  it('says why a file was opened read-only', { skip: skipUnless(root) }, (t) => {
    const file = filledFile(temporaryDirectory(t));
    for (const owned of [path.dirname(file), file]) fs.chownSync(owned, NOBODY.uid, NOBODY.gid);
    fs.chmodSync(file, 0o400);
    withIdentity(NOBODY, () => {
      const store = SqliteStore.open(file);
      assert.notEqual(store.get(KIND.value, Buffer.from('1')), undefined);
      const transaction = store.begin(undefined);
      assert.throws(
        () => transaction.delete(KIND.value, Buffer.from('1')),
        (error) =>
          error instanceof StoreError &&
          error.failure === 'read_only' &&
          error.message ===
            'the file was opened for reading only: permission denied; restart the daemon once the file can be written',
      );
      store.close();
    });
  });

  it('gives no reason if a file can be made now', (t) => {
    const file = filledFile(temporaryDirectory(t));
    const before = fs.readdirSync(path.dirname(file));
    assert.equal(explained(t, file, 'SQLITE_CANTOPEN').message, 'the storage failed (SQLITE_CANTOPEN)');
    assert.deepEqual(fs.readdirSync(path.dirname(file)), before);
  });

  it('leaves anything that exists at the path of its attempt', (t) => {
    const file = filledFile(temporaryDirectory(t));
    const tried = `${file}-tried`;
    for (const make of [
      () => fs.writeFileSync(tried, ''),
      () => fs.mkdirSync(tried),
      () => fs.symlinkSync('x', tried),
    ]) {
      make();
      assert.equal(explained(t, file, 'SQLITE_CANTOPEN').message, 'the storage failed (SQLITE_CANTOPEN)');
      fs.lstatSync(tried);
      fs.rmSync(tried, { recursive: true });
    }
  });
});
