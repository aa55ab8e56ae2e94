import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { describe, it } from 'node:test';
import Database from 'better-sqlite3';
import { asFileError, isOfSystem } from '../../../daemon/store/file-error.ts';
import { StoreError } from '../../../daemon/store/sealed-store.ts';

describe('asFileError()', () => {
  it('maps a full disk and an exhausted quota to full, whatever Node calls them', () => {
    for (const [name, failure] of [
      ['ENOSPC', 'full'],
      ['EDQUOT', 'full'],
      ['EROFS', 'read_only'],
      ['EIO', 'io'],
      ['EFBIG', 'io'],
      ['ESTALE', 'io'],
    ] as const) {
      const cause = Object.assign(new Error('write'), { errno: -constants.errno[name] });
      const error = asFileError(cause, 'cannot keep a copy');
      assert.ok(error instanceof StoreError, name);
      assert.deepEqual([error.failure, error.cause], [failure, cause], name);
      assert.match(error.message, /^cannot keep a copy: [a-z]/, name);
      assert.doesNotMatch(error.message, /unknown/i, name);
    }
  });

  it('returns every other error unchanged', () => {
    for (const error of [new TypeError('defect'), new StoreError('damaged', 'a page'), 'text', undefined]) {
      assert.equal(asFileError(error, 'cannot'), error);
    }
  });
});

describe('isOfSystem()', () => {
  it('distinguishes a refusal of the system from a damaged file and from a defect', () => {
    const sqlite = (code: string): Error => new Database.SqliteError('x', code);
    for (const code of ['SQLITE_IOERR_READ', 'SQLITE_IOERR', 'SQLITE_CANTOPEN', 'SQLITE_NOMEM']) {
      assert.ok(isOfSystem(sqlite(code)), code);
    }
    assert.ok(isOfSystem(Object.assign(new Error('open'), { errno: -constants.errno.EMFILE })));
    const others = [sqlite('SQLITE_CORRUPT'), sqlite('SQLITE_ERROR'), sqlite('SQLITE_NOTADB'), new TypeError('x')];
    for (const error of [...others, undefined, 'text']) assert.equal(isOfSystem(error), false);
  });
});
