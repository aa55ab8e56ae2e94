import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { dropCachedPages } from '../../../daemon/kernel/libc.ts';
import { KIND } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import { FailingDisk, failingDisks } from './failing-disk.ts';
import { HEAD, commit, fails, newFile, open, text, value } from './test-store.ts';

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
