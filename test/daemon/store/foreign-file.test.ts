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

// What SqliteStore.open() refuses is in its own tests.

describe('isStoreFile()', () => {
  it('is so of a store, be it damaged, and of nothing else', (t) => {
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
  it('refuses what says that it is newer, and nothing else', (t) => {
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
  it('calls a store of version 0 damaged: nobody makes one', (t) => {
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
});
