import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { before, describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import Database from 'better-sqlite3';
import { overwriteLeftovers } from '../../../daemon/store/leftovers.ts';
import { KIND, StoreError, fixedTag } from '../../../daemon/store/sealed-store.ts';
import type { SealedRecord } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { memoryDirectory } from '../vault/memory-directory.ts';
import { commitAndDelete, countIn } from './deleted-rows.ts';

/** SQLite leaves behind about one of 300 deleted rows. */
const ROUNDS = 60;
const ENDS = ['', '-wal'];
const PAGE_BYTES = 4096;
/** Enough for this program, and soon exhausted. */
const FILES_MAX = 128;

interface StoreWithDeletedRows {
  readonly store: SqliteStore;
  readonly file: string;
  readonly deleted: readonly SealedRecord[];
}

/** More than a store and its WAL take after a few commits by {@link commitMuch}. */
const MUCH_BYTES = 256 * 1024 ** 2;

/** Makes a store with some deleted rows and no purge. `bytes` is the room that it needs, if that is much. */
function storeWithDeletedRows(t: TestContext, bytes?: number): StoreWithDeletedRows {
  const file = path.join(memoryDirectory(t, bytes), 'credentials.db');
  const store = SqliteStore.open(file);
  return { store, file, deleted: commitAndDelete(store).deleted };
}

/** Makes a commit large enough that SQLite checkpoints the WAL at its end. */
function commitMuch(store: SqliteStore): void {
  const transaction = store.begin(store.get(KIND.head, fixedTag('head')));
  for (let count = 0; count < 18; count += 1)
    transaction.put({ kind: KIND.health, tag: Buffer.of(count), body: randomBytes(1024 ** 2) });
  transaction.commit();
}

function killed(t: TestContext, file: string): string {
  const directory = memoryDirectory(t);
  for (const end of ENDS) fs.copyFileSync(`${file}${end}`, path.join(directory, `credentials.db${end}`));
  return path.join(directory, 'credentials.db');
}

function foundAfterPurge(file: string, deleted: readonly SealedRecord[]): number {
  const store = SqliteStore.open(file);
  try {
    store.purge();
    return countIn(
      ENDS.map((end) => `${file}${end}`),
      deleted,
    );
  } finally {
    store.close();
  }
}

/** Runs `work` with all file descriptors in use but a few. */
function withFew<T>(few: number, work: () => T): T {
  const files: number[] = [];
  try {
    for (;;) files.push(fs.openSync('/dev/null', 'r'));
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'EMFILE');
  }
  try {
    for (const file of files.splice(0, few)) fs.closeSync(file);
    return work();
  } finally {
    for (const file of files) fs.closeSync(file);
  }
}

describe(
  'a row that was deleted is in no file after the next purge',
  { skip: skipUnless(command('prlimit', 'util-linux')) },
  () => {
    before(() => void execFileSync('prlimit', ['--pid', String(process.pid), `--nofile=${FILES_MAX}:`]));

    it("if a killed daemon's store was opened and closed in between, without a purge", (t) => {
      let count = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        const { store, file, deleted } = storeWithDeletedRows(t);
        const again = killed(t, file);
        store.close();
        SqliteStore.open(again).close();
        count += foundAfterPurge(again, deleted);
      }
      assert.equal(count, 0);
    });

    it('if there were no file descriptors when the store was closed', (t) => {
      let count = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        const { store, file, deleted } = storeWithDeletedRows(t);
        withFew(0, () => {
          try {
            store.purge();
          } catch (error) {
            assert.ok(error instanceof StoreError);
          }
          store.close();
        });
        count += foundAfterPurge(file, deleted);
      }
      assert.equal(count, 0);
    });

    it('if there were too few file descriptors to open the store', (t) => {
      let count = 0;
      let refused = 0;
      for (let round = 0; round < ROUNDS; round += 1) {
        const { store, file, deleted } = storeWithDeletedRows(t);
        const again = killed(t, file);
        store.close();
        for (const few of [3, 4, 5, 6, 7, 8, 9]) {
          withFew(few, () => {
            try {
              SqliteStore.open(again).close();
            } catch (error) {
              assert.ok(error instanceof StoreError);
              refused += 1;
            }
          });
        }
        count += foundAfterPurge(again, deleted);
      }
      assert.ok(refused >= ROUNDS);
      assert.equal(count, 0);
    });

    it('if there were no file descriptors when SQLite checkpointed the WAL', (t) => {
      let count = 0;
      for (let round = 0; round < ROUNDS / 2; round += 1) {
        const { store, file, deleted } = storeWithDeletedRows(t, MUCH_BYTES);
        withFew(0, () => commitMuch(store));
        // Restarts the WAL from its beginning.
        commitMuch(store);
        store.purge();
        count += countIn([file, `${file}-wal`], deleted);
        store.close();
        // All rounds together would take more memory than a small machine has.
        fs.rmSync(path.dirname(file), { recursive: true });
      }
      assert.equal(count, 0);
    });
  },
);

describe('SqliteStore.copyTo()', () => {
  it('copies nothing of rows deleted before, even without a purge', async (t) => {
    let count = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const { store, file, deleted } = storeWithDeletedRows(t);
      await store.copyTo(`${file}-copy`);
      count += countIn([`${file}-copy`], deleted);
      const copy = SqliteStore.open(`${file}-copy`);
      assert.deepEqual(await copy.findPageDamage(), []);
      copy.close();
      store.close();
    }
    assert.equal(count, 0);
  });
});

describe('overwriteLeftovers()', () => {
  /** Makes a b-tree page with one cell. */
  function page(cellsStart: number, cell: number): Buffer {
    const bytes = Buffer.alloc(PAGE_BYTES, 0xee);
    bytes.writeUInt8(0x0a);
    bytes.writeUInt16BE(1, 3);
    bytes.writeUInt16BE(cellsStart, 5);
    bytes.writeUInt16BE(cell, 8);
    return bytes;
  }

  /** Overwrites the leftovers in the second page of a file, after `change` has edited the first. */
  function overwrite(t: TestContext, bytes: Buffer, change: (first: Buffer) => void = () => undefined): Buffer {
    const file = path.join(memoryDirectory(t), 'file');
    const database = new Database(file);
    database.exec('PRAGMA user_version = 1');
    database.close();
    const first = fs.readFileSync(file).subarray(0, PAGE_BYTES);
    change(first);
    fs.writeFileSync(file, Buffer.concat([first, bytes]));
    const descriptor = fs.openSync(file, 'r+');
    overwriteLeftovers(descriptor, [2]);
    fs.closeSync(descriptor);
    return fs.readFileSync(file).subarray(PAGE_BYTES);
  }

  it('fills the space before the cells with zeros', (t) => {
    assert.deepEqual(overwrite(t, page(4000, 4000)), page(4000, 4000).fill(0, 10, 4000));
  });

  it('leaves a page unchanged if a cell is before the start of the cell area', (t) => {
    assert.deepEqual(overwrite(t, page(4000, 3000)), page(4000, 3000));
  });

  it('leaves a file unchanged that has larger pages, or pointer map pages', (t) => {
    assert.deepEqual(
      overwrite(t, page(4000, 4000), (first) => void first.writeUInt16BE(8192, 16)),
      page(4000, 4000),
    );
    assert.deepEqual(
      overwrite(t, page(4000, 4000), (first) => void first.writeUInt32BE(3, 52)),
      page(4000, 4000),
    );
  });
});
