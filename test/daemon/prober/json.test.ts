import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { asObject, decodeBase64, parseObject } from '../../../daemon/prober/json.ts';
import { watchWipes } from './restic/wiped.ts';

describe('asObject()', () => {
  it('returns objects, but no lists and no primitive values', () => {
    const object = { member: 1 };
    assert.equal(asObject(object), object);
    for (const other of [null, undefined, [], [object], 'text', 1, true]) assert.equal(asObject(other), undefined);
  });
});

describe('parseObject()', () => {
  it('parses one object, also from the middle of a buffer', () => {
    const bytes = Buffer.from('[{"member":"\u00e4"}]');
    assert.deepEqual(parseObject(bytes.subarray(1, -1)), { member: '\u00e4' });
    for (const text of ['', '{', 'null', '[]', '"text"', '1', '{}{}'])
      assert.equal(parseObject(Buffer.from(text)), undefined);
  });
});

describe('decodeBase64()', () => {
  it('wipes the bytes decoded from an invalid text', (t) => {
    const bytes = Buffer.from('nearly a key, and so a secret');
    const text = bytes.toString('base64');
    const wiped = watchWipes(t);
    assert.deepEqual(decodeBase64(text), bytes);
    assert.ok(!wiped.has(bytes));
    assert.equal(decodeBase64(text.replace(/=+$/, '')), undefined);
    assert.ok(wiped.has(bytes));
    for (const array of wiped.arrays) assert.ok(array.every((byte) => byte === 0));
  });
});
