import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import { CredentialError, isCredentialError } from '../../../src/errors.ts';
import type { Scope } from '../../support/scope.ts';
import { memoryDirectory } from './memory-directory.ts';
import { STORE_FILE, TestVault } from './open-vault.ts';
import { PAGE_BYTES, leavesOf, overwrite, zeroPage } from './raw-file.ts';

/** Few enough for a small file, and enough for several pages of each kind of record. */
const CREDENTIALS = 50;
/**
 * Distance in bytes between two changed bytes. It is prime, so that every offset within a record is hit.
 * CIO_TEST_EVERY_BYTE=1 changes every byte.
 */
const STRIDE = process.env['CIO_TEST_EVERY_BYTE'] === undefined ? 127 : 1;

const names = Array.from({ length: CREDENTIALS }, (_, index) => `a${index}`);
const valueOf = (name: string): string => `value of ${name} `.repeat(10);

const whole = await makeStore();

/** A store that was closed properly: one file, with the key file beside it. */
async function makeStore(): Promise<string> {
  const made = await TestVault.create({ after });
  await Promise.all(names.map((name) => made.save(name, valueOf(name))));
  await made.save('mine', 'value', 'uid:5');
  await made.close();
  return made.directory;
}

function copyStore(scope: Scope): string {
  const directory = memoryDirectory(scope);
  fs.cpSync(whole, directory, { recursive: true });
  return directory;
}

/**
 * Opens a damaged store and returns the names of the readable credentials. Each credential must be read correctly, be
 * not found, or be refused with a known error code; if the store does not open at all, that too must have a known error
 * code.
 */
async function readable(directory: string, also?: (opened: TestVault) => Promise<void>): Promise<Set<string>> {
  const read = new Set<string>();
  const ends: (() => void | Promise<void>)[] = [];
  try {
    const opened = await TestVault.open({ after: (end) => void ends.push(end) }, directory);
    if (opened.vault.isLocked) return read;
    for (const name of names) {
      try {
        const value = opened.value(name);
        if (value === undefined) continue;
        assert.equal(value, valueOf(name));
        read.add(name);
      } catch (error) {
        assert.ok(isCredentialError(error, 'Damaged'), String(error));
      }
    }
    await also?.(opened);
  } catch (error) {
    assert.ok(error instanceof CredentialError || error instanceof StoreError, String(error));
  } finally {
    for (const end of ends) await end();
  }
  return read;
}

describe('a store with one changed byte', () => {
  it('gives the right value or a known error wherever the byte is, and reads everything on other pages', async (t) => {
    const directory = copyStore(t);
    const file = path.join(directory, STORE_FILE);
    const original = fs.readFileSync(file);
    const leaves = leavesOf(file);
    const beside = new Map<number, Set<string>>();
    for (const leaf of leaves) {
      zeroPage(file, leaf);
      beside.set(leaf, await readable(directory));
      fs.writeFileSync(file, original);
    }
    assert.ok(leaves.length >= 6, `${leaves.length} leaves`);
    let worst = CREDENTIALS;
    for (let at = 0; at < original.length; at += STRIDE) {
      const page = Math.floor(at / PAGE_BYTES) + 1;
      overwrite(file, at, Buffer.of((original[at] ?? 0) ^ (1 << (at % 8))));
      const read = await readable(directory);
      for (const name of beside.get(page) ?? new Set<string>())
        assert.ok(read.has(name), `byte ${at}: ${name} lies elsewhere`);
      worst = Math.min(worst, read.size);
      for (const end of ['-wal', '-shm']) fs.rmSync(`${file}${end}`, { force: true });
      fs.writeFileSync(file, original);
    }
    assert.ok(worst < CREDENTIALS, 'some of the bytes mattered');
    assert.equal((await readable(directory)).size, CREDENTIALS);
  });

  it('is reported by fsck() if the byte is in a record, and is clean after a repair unless a page is damaged', async (t) => {
    const directory = copyStore(t);
    const file = path.join(directory, STORE_FILE);
    const original = fs.readFileSync(file);
    let told = 0;
    for (let at = 2 * PAGE_BYTES + 7; at < original.length; at += STRIDE * 13) {
      overwrite(file, at, Buffer.of((original[at] ?? 0) ^ 0x04));
      const before = await readable(directory, async (opened) => {
        const { problems, isWhole } = await opened.fsck();
        if (problems.length > 0) told += 1;
        const left = names.filter((name) => canRead(opened, name));
        if (left.length < CREDENTIALS) assert.ok(problems.length > 0, `byte ${at}`);
        if (isWhole) await opened.repair();
        else await assert.rejects(opened.repair(), (error) => isCredentialError(error, 'Damaged'));
        assert.deepEqual(
          names.filter((name) => canRead(opened, name)),
          left,
          `byte ${at}`,
        );
        if (isWhole) assert.deepEqual((await opened.fsck()).problems, [], `byte ${at}`);
      });
      assert.ok(before.size > 0 || at < 4 * PAGE_BYTES, `byte ${at}`);
      for (const end of ['-wal', '-shm']) fs.rmSync(`${file}${end}`, { force: true });
      fs.writeFileSync(file, original);
    }
    assert.ok(told > 5, `${told}`);
  });
});

describe('a store with a zeroed page', () => {
  it('keeps everything on other pages, reports the page, goes on writing, and loses nothing more in a repair', async (t) => {
    const directory = copyStore(t);
    const file = path.join(directory, STORE_FILE);
    const original = fs.readFileSync(file);
    let opens = 0;
    for (const leaf of leavesOf(file)) {
      zeroPage(file, leaf);
      await readable(directory, async (opened) => {
        opens += 1;
        const left = names.filter((name) => canRead(opened, name));
        assert.ok(left.length < CREDENTIALS && left.length > CREDENTIALS / 2, `page ${leaf}: ${left.length}`);
        const { problems } = await opened.fsck();
        assert.ok(problems.some(({ what }) => what === 'page'));
        assert.ok(
          problems.every(({ name }) => !left.includes(name ?? '')),
          'nothing that can be read is called missing',
        );
        assert.ok(
          problems.every(({ what }) => what !== 'missing' && what !== 'added'),
          'what is on the page is not said to be deleted',
        );
        await assert.rejects(opened.repair(), (error) => isCredentialError(error, 'Damaged'));
        await assert.rejects(opened.rekey(), (error) => isCredentialError(error, 'Damaged'));
        await Promise.allSettled(Array.from({ length: 20 }, (_, index) => opened.save(`new${index}`, 'new')));
        assert.deepEqual(
          names.filter((name) => canRead(opened, name)),
          left,
        );
      });
      for (const end of ['-wal', '-shm']) fs.rmSync(`${file}${end}`, { force: true });
      fs.writeFileSync(file, original);
    }
    // All but the first leaf, which holds the keys.
    assert.equal(opens, leavesOf(file).length - 1);
  });
});

describe('a store with a truncated file', () => {
  it('gives the right values or a known error', async (t) => {
    const directory = copyStore(t);
    const file = path.join(directory, STORE_FILE);
    const original = fs.readFileSync(file);
    const lengths = [1, 50, 99, 100, 107, 108, 500, 4095];
    for (let length = PAGE_BYTES; length < original.length; length += PAGE_BYTES)
      lengths.push(length, length + 1, length - 1);
    for (const length of lengths) {
      fs.writeFileSync(file, original.subarray(0, length));
      const read = await readable(directory);
      assert.ok(read.size < CREDENTIALS, `${length} bytes`);
      for (const end of ['-wal', '-shm']) fs.rmSync(`${file}${end}`, { force: true });
    }
  });
});

describe('a store with a damaged WAL', () => {
  it('loses at most the last commit, or is refused and stays as it is', async (t) => {
    const made = await TestVault.create(t);
    const commits = 12;
    for (let number = 1; number <= commits; number += 1) {
      await made.save('counter', `${number}`);
      await made.save(`mine${number}`, `${number}`, 'uid:5');
    }
    const file = path.join(made.directory, STORE_FILE);
    const wal = fs.readFileSync(`${file}-wal`);
    const database = fs.readFileSync(file);
    const directory = memoryDirectory(t);
    fs.copyFileSync(path.join(made.directory, 'root.key'), path.join(directory, 'root.key'));
    const copy = path.join(directory, STORE_FILE);
    let opened = 0;
    let refused = 0;
    // The end of the last commit, too.
    const offsets = Array.from({ length: 30 }, (_, index) => Math.floor((index * (wal.length - 1)) / 29));
    for (const at of offsets) {
      const damaged = Buffer.from(wal);
      damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
      fs.writeFileSync(copy, database);
      fs.writeFileSync(`${copy}-wal`, damaged);
      const before = opened;
      await readable(directory, async (store) => {
        opened += 1;
        assert.equal(store.value('counter'), `${commits}`, `${at}`);
        const mine = store.vault.read((reader) => reader.principal('uid:5'))?.names.length ?? 0;
        assert.ok(mine === commits || mine === commits - 1, `${at}: ${mine}`);
        assert.deepEqual((await store.fsck()).problems, []);
      });
      if (opened === before) {
        refused += 1;
        assert.deepEqual([fs.readFileSync(copy), fs.readFileSync(`${copy}-wal`)], [database, damaged]);
      }
      for (const end of ['', '-wal', '-shm']) fs.rmSync(`${copy}${end}`, { force: true });
    }
    assert.ok(opened > 0 && refused > 20, `${opened} opened, ${refused} refused`);
  });
});

function canRead(opened: TestVault, name: string): boolean {
  try {
    return opened.value(name) === valueOf(name);
  } catch {
    return false;
  }
}
