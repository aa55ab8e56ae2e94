import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { Checkpointer } from '../../../daemon/store/checkpointer.ts';
import { StoreDisk } from '../../../daemon/store/store-disk.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const LEFTOVER = Buffer.from('what SQLite left between the cells');

interface OpenFile {
  readonly file: string;
  readonly writer: Database.Database;
  readonly disk: StoreDisk;
  readonly checkpointer: Checkpointer;
  /** How often pages were overwritten. */
  overwritten(): number;
}

/** Opens a database whose second page, a leaf with a few rows, is in the WAL. */
function openFile(t: TestContext): OpenFile {
  const file = path.join(temporaryDirectory(t), 'credentials.db');
  const writer = new Database(file);
  writer.pragma('journal_mode = WAL');
  writer.pragma('wal_autocheckpoint = 0');
  writer.exec("CREATE TABLE row (content TEXT); INSERT INTO row VALUES ('one'), ('two')");
  const disk = StoreDisk.open(file);
  // SQLite's connection closes first: closing another descriptor of its file would release its locks.
  t.after(() => {
    writer.close();
    disk.close();
  });
  let count = 0;
  const checkpointer = new Checkpointer(writer, disk, () => {
    count += 1;
  });
  return { file, writer, disk, checkpointer, overwritten: () => count };
}

/** Puts a leftover into the unallocated space of the second page, wherever its content is now. */
function leave({ file, writer }: OpenFile): void {
  writer.pragma('wal_checkpoint(PASSIVE)');
  const descriptor = fs.openSync(file, 'r+');
  // Never closed before the process ends, as SQLite has the file open.
  fs.writeSync(descriptor, LEFTOVER, 0, LEFTOVER.length, 4096 + 2048);
}

function isLeft({ file, disk }: OpenFile): boolean {
  disk.sync();
  return fs.readFileSync(file).includes(LEFTOVER);
}

describe('Checkpointer.truncateWal()', () => {
  it('empties the WAL, and overwrites what is left in the pages that were in it', (t) => {
    const opened = openFile(t);
    leave(opened);
    assert.ok(isLeft(opened));
    assert.equal(opened.checkpointer.truncateWal(), true);
    assert.ok(!isLeft(opened));
    assert.equal(opened.overwritten(), 1);
    assert.equal(fs.statSync(`${opened.file}-wal`).size, 0);
  });

  it('empties a WAL that the disk does not return whole, and overwrites what is left in any page', (t) => {
    const open = openFile(t);
    leave(open);
    const unreadable = Object.assign(new Error('EIO'), { errno: -os.constants.errno.EIO, code: 'EIO' });
    t.mock.method(open.disk, 'pagesInWal', () => {
      throw unreadable;
    });
    assert.equal(open.checkpointer.truncateWal(), true);
    assert.deepEqual([isLeft(open), fs.statSync(`${open.file}-wal`).size], [false, 0]);
  });

  it('returns false while another connection reads, and overwrites what is left the next time', (t) => {
    const opened = openFile(t);
    const reader = new Database(opened.file, { readonly: true });
    t.after(() => reader.close());
    reader.exec('BEGIN');
    assert.equal(reader.prepare('SELECT count(*) FROM row').pluck().get(), 2);
    opened.writer.exec("INSERT INTO row VALUES ('three')");
    leave(opened);
    opened.writer.pragma('busy_timeout = 0');
    assert.equal(opened.checkpointer.truncateWal(), false);
    reader.exec('COMMIT');
    assert.equal(opened.checkpointer.truncateWal(), true);
    assert.ok(!isLeft(opened));
  });
});

describe('Checkpointer.finish()', () => {
  it('overwrites what is left in the pages that a checkpoint of SQLite copied, and keeps the WAL', (t) => {
    const opened = openFile(t);
    leave(opened);
    opened.checkpointer.finish();
    assert.ok(!isLeft(opened));
    assert.equal(opened.overwritten(), 1);
    assert.notEqual(fs.statSync(`${opened.file}-wal`).size, 0);
  });

  it('reports no overwriting if nothing is left', (t) => {
    const opened = openFile(t);
    opened.writer.pragma('wal_checkpoint(PASSIVE)');
    opened.checkpointer.finish();
    assert.equal(opened.overwritten(), 0);
  });
});
