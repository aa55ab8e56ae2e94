import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { isStoreFile, refuseNewerFile } from '../../../daemon/store/foreign-file.ts';
import { FORMAT_VERSION } from '../../../daemon/store/migrations.ts';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import { SqliteStore } from '../../../daemon/store/sqlite-store.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { editFile } from '../vault/raw-file.ts';

// The files that SqliteStore.open() refuses are covered by its own tests.

/** SQLite's default. */
const PAGE_BYTES = 4096;

describe('isStoreFile()', () => {
  it('is true for a store, even a damaged one, and for nothing else', (t) => {
    const file = path.join(temporaryDirectory(t), 'credentials.db');
    assert.equal(isStoreFile(file), false, 'no file');
    for (const bytes of [new Uint8Array(0), Buffer.alloc(4096), Buffer.from('SQLite format 3\0')]) {
      fs.writeFileSync(file, bytes);
      assert.equal(isStoreFile(file), false);
    }
    fs.rmSync(file);
    editFile(file, (database) => database.exec('CREATE TABLE theirs (a)'));
    assert.equal(isStoreFile(file), false, "another program's");
    fs.rmSync(file);
    SqliteStore.open(file).close();
    assert.equal(isStoreFile(file), true);
    fs.truncateSync(file, 200);
    assert.equal(isStoreFile(file), true, 'cut');
  });
});

describe('refuseNewerFile()', () => {
  it('refuses a file with a newer format version, and nothing else', (t) => {
    const file = path.join(temporaryDirectory(t), 'credentials.db');
    refuseNewerFile(file);
    fs.writeFileSync(file, 'no database');
    refuseNewerFile(file);
    fs.rmSync(file);
    SqliteStore.open(file).close();
    refuseNewerFile(file);
    editFile(file, (database) => database.pragma(`user_version = ${FORMAT_VERSION + 1}`));
    assert.throws(
      () => refuseNewerFile(file),
      (error) => error instanceof StoreError && error.failure === 'newer',
    );
  });
});

describe('refuseForeignFile()', () => {
  it('calls a store of version 0 damaged: no daemon makes one', (t) => {
    const file = path.join(temporaryDirectory(t), 'credentials.db');
    SqliteStore.open(file).close();
    editFile(file, (database) => database.pragma('user_version = 0'));
    const content = fs.readFileSync(file);
    assert.throws(
      () => SqliteStore.open(file),
      (error) => error instanceof StoreError && error.failure === 'damaged' && /header/.test(error.message),
    );
    assert.deepEqual(fs.readFileSync(file), content);
  });

  it("refuses a store with another program's rollback journal beside it, and changes neither", (t) => {
    const file = path.join(temporaryDirectory(t), 'credentials.db');
    SqliteStore.open(file).close();
    const content = fs.readFileSync(file);
    const journal = hotJournal(content.length / PAGE_BYTES);
    fs.writeFileSync(`${file}-journal`, journal);
    assert.throws(
      () => SqliteStore.open(file),
      (error) =>
        error instanceof StoreError &&
        error.failure === 'changed_by_other' &&
        /journal is another program's/.test(error.message),
    );
    assert.deepEqual([fs.readFileSync(file), fs.readFileSync(`${file}-journal`)], [content, journal]);
    fs.truncateSync(`${file}-journal`);
    SqliteStore.open(file).close();
  });

  it('leaves a rollback journal alone that appeared while the store was open, and reports it if it is in the way', async (t) => {
    const file = path.join(temporaryDirectory(t), 'credentials.db');
    const store = SqliteStore.open(file);
    t.after(() => store.close());
    store.purge();
    const journal = hotJournal(fs.statSync(file).size / PAGE_BYTES);
    fs.writeFileSync(`${file}-journal`, journal);
    await assert.rejects(
      store.copyTo(`${file}.copy`),
      (error) => error instanceof StoreError && error.failure === 'changed_by_other',
    );
    assert.deepEqual(fs.readFileSync(`${file}-journal`), journal);
    store.begin(undefined).rollback();
  });

  it('opens a store whose first start was killed before there was a table, with its rollback journal', (t) => {
    const file = path.join(temporaryDirectory(t), 'credentials.db');
    editFile(file, (database) => database.pragma('journal_mode = WAL'));
    fs.writeFileSync(`${file}-journal`, hotJournal(0));
    SqliteStore.open(file).close();
    assert.equal(isStoreFile(file), true);
  });
});

describe('refuseForeignFile() on what is no regular file', () => {
  it('refuses a symbolic link in place of the store, even one that leads nowhere, and touches nothing', (t) => {
    const [link, file] = ['link', 'file'].map((name) => path.join(temporaryDirectory(t), name));
    assert.ok(link !== undefined && file !== undefined);
    fs.symlinkSync(file, link);
    const isRefused = (error: unknown): boolean =>
      error instanceof StoreError &&
      error.failure === 'io' &&
      /link is a symbolic link.*--state-dir/.test(error.message);
    assert.throws(() => SqliteStore.open(link), isRefused);
    assert.equal(fs.existsSync(file), false);
    SqliteStore.open(file).close();
    assert.throws(() => SqliteStore.open(link), isRefused);
    assert.deepEqual(fs.readdirSync(path.dirname(file)), ['file']);
  });

  for (const has of ['a store', 'no store']) {
    it(`refuses a rollback journal that is no regular file, beside ${has}`, (t) => {
      const file = path.join(temporaryDirectory(t), 'credentials.db');
      if (has === 'a store') SqliteStore.open(file).close();
      const makers = [fs.mkdirSync, () => fs.symlinkSync(`${file}-journal`, `${file}-journal`)];
      for (const make of makers) {
        make(`${file}-journal`);
        assert.throws(
          () => SqliteStore.open(file),
          (error) =>
            error instanceof StoreError && error.failure === 'io' && /-journal is not a regular/.test(error.message),
        );
        fs.rmSync(`${file}-journal`, { recursive: true });
      }
    });
  }
});

/**
 * Makes a journal as a killed SQLite leaves it (https://sqlite.org/fileformat2.html#the_rollback_journal), of a file
 * that had the given number of pages before, the last of them all zeros.
 */
function hotJournal(pages: number): Buffer {
  const header = Buffer.alloc(512);
  header.write('d9d505f920a163d7', 'hex');
  const records = pages === 0 ? 0 : 1;
  // With a nonce of zero, the checksum of a page of zeros is zero.
  for (const [index, word] of [records, 0, pages, header.length, PAGE_BYTES].entries()) {
    header.writeUInt32BE(word, 8 + 4 * index);
  }
  const record = Buffer.alloc(4 + PAGE_BYTES + 4);
  record.writeUInt32BE(pages);
  return Buffer.concat([header, ...Array.from({ length: records }, () => record)]);
}
