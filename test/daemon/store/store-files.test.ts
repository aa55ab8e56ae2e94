import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { walIndexOf, walOf } from '../../../daemon/store/database-file.ts';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import { StoreFiles } from '../../../daemon/store/store-files.ts';
import { skipUnless, tracer } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** Creates the three files of a store. */
function newFiles(t: TestContext): string {
  const file = path.join(temporaryDirectory(t), 'credentials.db');
  for (const name of [file, walOf(file), walIndexOf(file)]) fs.writeFileSync(name, 'content');
  return file;
}

function replace(file: string): void {
  fs.copyFileSync(file, `${file}.copy`);
  fs.renameSync(`${file}.copy`, file);
}

const changedByOther = (error: unknown): boolean =>
  error instanceof StoreError && error.failure === 'changed_by_other' && /deleted or replaced/.test(error.message);

describe('StoreFiles.noteOthersWrites()', () => {
  it('reports a write once', (t) => {
    const file = newFiles(t);
    const files = new StoreFiles(file);
    assert.equal(files.noteOthersWrites(), false);
    fs.appendFileSync(file, 'more');
    assert.equal(files.noteOthersWrites(), true);
    assert.equal(files.noteOthersWrites(), false);
    fs.utimesSync(file, 1, 1);
    assert.equal(files.noteOthersWrites(), true);
  });

  for (const [what, change] of Object.entries({ deleted: fs.rmSync, replaced: replace })) {
    it(`throws if the file was ${what}, each time`, (t) => {
      const file = newFiles(t);
      const files = new StoreFiles(file);
      change(file);
      assert.throws(() => files.noteOthersWrites(), changedByOther);
      assert.throws(() => files.noteOthersWrites(), changedByOther);
    });
  }
});

describe('StoreFiles.noteWritten()', () => {
  it('returns whether the file has changed, and takes the change for one of this program', (t) => {
    const file = newFiles(t);
    const files = new StoreFiles(file);
    assert.equal(files.noteWritten(), false);
    fs.appendFileSync(file, 'more');
    assert.equal(files.noteWritten(), true);
    assert.equal(files.noteOthersWrites(), false);
  });

  it('lets the next check report a write if the file cannot be looked at', (t) => {
    const file = newFiles(t);
    const files = new StoreFiles(file);
    fs.renameSync(file, `${file}.away`);
    fs.symlinkSync(file, file);
    assert.equal(files.noteWritten(), true);
    fs.renameSync(`${file}.away`, file);
    assert.equal(files.noteOthersWrites(), true);
    assert.equal(files.noteOthersWrites(), false);
  });
});

describe('StoreFiles.wal()', () => {
  it('tells a WAL that was deleted or replaced from one that was only written', (t) => {
    const file = newFiles(t);
    const files = new StoreFiles(file);
    fs.appendFileSync(walOf(file), 'more');
    assert.equal(files.wal(), 'in place');
    replace(walOf(file));
    assert.equal(files.wal(), 'replaced');
    fs.rmSync(walOf(file));
    assert.equal(files.wal(), 'deleted');
  });

  it('does not read its times, which would make the next fsync slower', { skip: skipUnless(tracer) }, (t) => {
    const file = newFiles(t);
    const trace = path.join(temporaryDirectory(t), 'trace');
    const module = new URL('../../../daemon/store/store-files.ts', import.meta.url).href;
    const script = `
      const { StoreFiles } = await import(process.argv[1]);
      new StoreFiles(process.argv[2]).wal();`;
    const node = [process.execPath, '--input-type=module', '-e', script, module, file];
    execFileSync('strace', ['-qq', '-f', '-o', trace, '--trace=/^(f?stat|lstat|statx|newfstatat)', ...node]);
    const ofWal = fs
      .readFileSync(trace, 'utf8')
      .split('\n')
      .filter((line) => line.includes(`"${walOf(file)}"`));
    assert.equal(ofWal.length, 2, ofWal.join('\n'));
    for (const line of ofWal) assert.match(line, / statx\(AT_FDCWD, "[^"]+", AT_STATX_SYNC_AS_STAT, STATX_INO, /);
  });
});

describe('StoreFiles.requireIndex()', () => {
  it('leaves a missing WAL index to SQLite', (t) => {
    const file = newFiles(t);
    const files = new StoreFiles(file);
    fs.rmSync(walIndexOf(file));
    files.requireIndex();
  });
});
