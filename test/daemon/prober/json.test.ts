import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { asObject, decodeBase64, parseObject } from '../../../daemon/prober/json.ts';
import { watchWipes } from './restic/wiped.ts';

describe('asObject()', () => {
  it('takes objects, and neither lists nor what has no members', () => {
    const object = { member: 1 };
    assert.equal(asObject(object), object);
    for (const other of [null, undefined, [], [object], 'text', 1, true]) assert.equal(asObject(other), undefined);
  });
});

describe('parseObject()', () => {
  it('reads one object, from the middle of a buffer as well', () => {
    const bytes = Buffer.from('[{"member":"\u00e4"}]');
    assert.deepEqual(parseObject(bytes.subarray(1, -1)), { member: '\u00e4' });
    for (const text of ['', '{', 'null', '[]', '"text"', '1', '{}{}'])
      assert.equal(parseObject(Buffer.from(text)), undefined);
  });
});

describe('decodeBase64()', () => {
  it('wipes what it made of a text that is none', (t) => {
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
