import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KIND, StoreError, fixedTag } from '../../../daemon/store/sealed-store.ts';

describe('KIND', () => {
  it('has the numbers of the file format', () => {
    assert.deepEqual(KIND, {
      store: 0,
      head: 1,
      slot: 2,
      dataKey: 3,
      principal: 4,
      credential: 5,
      value: 6,
      health: 7,
      names: 8,
    });
  });
});

describe('fixedTag()', () => {
  it('is the name in ASCII', () => {
    assert.equal(Buffer.from(fixedTag('store')).toString('hex'), '73746f7265');
    assert.equal(Buffer.from(fixedTag('head')).toString('hex'), '68656164');
  });
});

describe('StoreError', () => {
  it('keeps the failure, the message and the cause', () => {
    const cause = new Error('below');
    const error = new StoreError('full', 'the disk is full', { cause });
    assert.deepEqual([error.name, error.failure, error.message], ['StoreError', 'full', 'the disk is full']);
    assert.equal(error.cause, cause);
    assert.ok(error instanceof Error);
  });
});
