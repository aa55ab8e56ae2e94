import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CredentialError } from '../../../src/errors.ts';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import type { StoreFailure } from '../../../daemon/store/sealed-store.ts';
import { describeFailure, toCredentialError } from '../../../daemon/vault/store-failures.ts';

const ANSWERS: Record<StoreFailure, [code: string, fields: object]> = {
  full: ['StorageFull', {}],
  damaged: ['Damaged', {}],
  read_only: ['StorageFailed', { reason: 'read_only' }],
  changed_by_other: ['StorageFailed', { reason: 'changed_by_other' }],
  newer: ['StorageFailed', { reason: 'io' }],
  io: ['StorageFailed', { reason: 'io' }],
};

describe('toCredentialError()', () => {
  for (const [failure, [code, fields]] of Object.entries(ANSWERS)) {
    it(`maps ${failure} to ${code}, without the message of the storage`, () => {
      const error = toCredentialError(new StoreError(failure as StoreFailure, 'words'));
      assert.ok(error instanceof CredentialError);
      assert.deepEqual([error.code, error.fields], [code, fields]);
      assert.ok(!JSON.stringify(error).includes('words'));
    });
  }

  it('keeps the message of the storage for the log, even if only the caller’s error is at hand', () => {
    const failure = new StoreError('io', 'words');
    assert.deepEqual(describeFailure(failure), { reason: 'words' });
    assert.deepEqual(describeFailure(toCredentialError(failure)), { reason: 'words' });
    assert.equal(describeFailure(new CredentialError('Locked', {}))['class'], 'CredentialError');
  });

  it('returns every other error unchanged', () => {
    for (const error of [new CredentialError('Locked', {}), new TypeError('defect'), 'text', undefined]) {
      assert.equal(toCredentialError(error), error);
    }
  });
});
