import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import { asStoreError } from '../../../daemon/store/sqlite-connection.ts';

describe('asStoreError()', () => {
  it('calls a row damaged that is larger than SQLite can read', () => {
    const error = asStoreError(new Database.SqliteError('string or blob too big', 'SQLITE_TOOBIG'));
    assert.ok(error instanceof StoreError);
    assert.equal(error.failure, 'damaged');
  });
});
