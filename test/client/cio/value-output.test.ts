import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bytesOf } from '../../../client/cio/value-output.ts';

describe('bytesOf()', () => {
  it('decodes a value sent as text or in base64', () => {
    assert.deepEqual(Buffer.from(bytesOf({ value: 'ü' }, '/s')), Buffer.from('ü'));
    assert.deepEqual(Buffer.from(bytesOf({ data: '/wA=' }, '/s')), Buffer.of(0xff, 0));
  });

  it('throws for a reply with no value, two values or invalid base64', () => {
    for (const wire of [{}, { value: 'a', data: 'YQ==' }, { data: '?' }]) {
      assert.throws(() => bytesOf(wire, '/s'), { reason: 'bad_reply', detail: 'value' }, JSON.stringify(wire));
    }
  });
});
