import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { readDatabaseHeader } from '../../../daemon/store/database-file.ts';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { contentOf, editFile } from '../vault/raw-file.ts';

describe('readDatabaseHeader()', () => {
  it('returns the header fields, and changes neither the file nor its directory', (t) => {
    const file = path.join(temporaryDirectory(t), 'file.db');
    editFile(file, (database) => database.exec('PRAGMA user_version = 7; PRAGMA application_id = 0x0102'));
    const before = contentOf(path.dirname(file));
    assert.deepEqual(readDatabaseHeader(file), {
      applicationId: 0x0102,
      hasWal: false,
      userVersion: 7,
      hasTables: false,
    });
    assert.deepEqual(contentOf(path.dirname(file)), before);
  });

  for (const count of [1, 200]) {
    it(`reports the tables of a file with ${count}`, (t) => {
      const file = path.join(temporaryDirectory(t), 'file.db');
      const tables = Array.from({ length: count }, (_, index) => `CREATE TABLE theirs_${index} (a);`);
      editFile(file, (database) => database.exec(tables.join('')));
      assert.deepEqual(readDatabaseHeader(file), { applicationId: 0, hasWal: false, userVersion: 0, hasTables: true });
    });
  }

  it('distinguishes a missing file and another kind of file from a database', (t) => {
    const file = path.join(temporaryDirectory(t), 'file.db');
    assert.equal(readDatabaseHeader(file), 'absent');
    fs.writeFileSync(file, '');
    assert.equal(readDatabaseHeader(file), 'absent');
    for (const bytes of [Buffer.from('SQLite format 3\0'), Buffer.alloc(4096)]) {
      fs.writeFileSync(file, bytes);
      assert.equal(readDatabaseHeader(file), 'foreign');
    }
  });

  it('fails with io for a directory', (t) => {
    assert.throws(
      () => readDatabaseHeader(temporaryDirectory(t)),
      (error) => error instanceof StoreError && error.failure === 'io' && /cannot read the store: /.test(error.message),
    );
  });
});
