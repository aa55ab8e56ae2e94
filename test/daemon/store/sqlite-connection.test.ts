import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import { asCommitError, asStoreError } from '../../../daemon/store/sqlite-connection.ts';

describe('asStoreError()', () => {
  it('calls a row damaged that is larger than SQLite can read', () => {
    const error = asStoreError(new Database.SqliteError('string or blob too big', 'SQLITE_TOOBIG'));
    assert.ok(error instanceof StoreError);
    assert.equal(error.failure, 'damaged');
  });
});

describe('asCommitError()', () => {
  it('is io if the WAL index cannot grow: the commit is in the WAL already', () => {
    const error = asCommitError(new Database.SqliteError('disk I/O error', 'SQLITE_IOERR_SHMSIZE'), asStoreError);
    assert.ok(error instanceof StoreError);
    assert.equal(error.failure, 'io');
    const other = new Database.SqliteError('database or disk is full', 'SQLITE_FULL');
    assert.equal(asCommitError(other, asStoreError), other);
  });
});
