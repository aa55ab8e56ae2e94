import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { DirectoryLockError } from '../../../daemon/store/directory-lock.ts';
import { StoreLock } from '../../../daemon/store/store-lock.ts';
import { openFilesIn } from '../../support/open-files.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

function isHeld(file: string): boolean {
  const lock = new StoreLock(file);
  try {
    lock.take();
    return false;
  } catch (error) {
    assert.ok(error instanceof DirectoryLockError);
    assert.deepEqual([error.message, error.failure], [`${file} is held by another process`, 'held']);
    return true;
  } finally {
    lock.release();
  }
}

describe('StoreLock', () => {
  it('locks the file under each of its paths until it is released', (t) => {
    const directory = temporaryDirectory(t);
    const file = path.join(directory, 'store');
    const [hard, symbolic] = [path.join(directory, 'hard'), path.join(directory, 'symbolic')];
    fs.writeFileSync(file, '');
    fs.linkSync(file, hard);
    fs.symlinkSync(file, symbolic);
    const lock = new StoreLock(file);
    lock.take();
    lock.take();
    assert.deepEqual([file, hard, symbolic].map(isHeld), [true, true, true]);
    assert.deepEqual(openFilesIn(directory), [file], 'the one that is held');
    lock.release();
    assert.deepEqual([file, hard, symbolic].map(isHeld), [false, false, false]);
  });

  it('locks a file that was made meanwhile, and makes none itself', (t) => {
    const file = path.join(temporaryDirectory(t), 'store');
    const lock = new StoreLock(file);
    lock.take();
    assert.equal(fs.existsSync(file), false);
    fs.writeFileSync(file, '');
    assert.equal(isHeld(file), false);
    lock.take();
    assert.equal(isHeld(file), true);
    lock.release();
  });

  it('skips anything that is not a file, without blocking', { timeout: 5000 }, (t) => {
    const directory = temporaryDirectory(t);
    const fifo = path.join(directory, 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const place of [fifo, directory, path.join(directory, 'none', 'store')]) assert.equal(isHeld(place), false);
  });

  it('interferes neither with SQLite nor with a reader beside the daemon', (t) => {
    const file = path.join(temporaryDirectory(t), 'store');
    const lock = new StoreLock(file);
    const database = new Database(file);
    database.exec('PRAGMA journal_mode = WAL; CREATE TABLE record (body BLOB)');
    lock.take();
    const other = new Database(file, { readonly: true });
    database.exec('INSERT INTO record VALUES (1)');
    assert.deepEqual(other.prepare('SELECT body FROM record').pluck().all(), [1]);
    other.close();
    database.close();
    lock.release();
  });
});
