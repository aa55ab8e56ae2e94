import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { KEY_BYTES } from '../../../daemon/vault/key-memory.ts';
import { decodeKey, encodeKey, KEY_TEXT_BYTES_MAX } from '../../../daemon/vault/key-text.ts';

const anyKey = fc.uint8Array({ minLength: KEY_BYTES, maxLength: KEY_BYTES });

describe('a key as text', () => {
  it("is Node's base64 of the key, and a line end", () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        assert.equal(Buffer.from(encodeKey(key)).toString(), `${Buffer.from(key).toString('base64')}\n`);
      }),
    );
  });

  it('is decoded with either line end and with none', () => {
    fc.assert(
      fc.property(anyKey, fc.constantFrom('', '\n', '\r\n'), (key, end) => {
        const text = Buffer.from(`${Buffer.from(key).toString('base64')}${end}`);
        assert.ok(text.length <= KEY_TEXT_BYTES_MAX);
        assert.deepEqual(decodeKey(text), new Uint8Array(key));
      }),
    );
  });

  it('is refused in any other form', () => {
    const text = randomBytes(KEY_BYTES).toString('base64');
    for (const other of [
      '',
      '\n',
      text.slice(1),
      `A${text}`,
      `${text}\n\n`,
      `${text}\r`,
      `${text} `,
      ` ${text.slice(1)}`,
      `${text.slice(0, -1)}A`,
      `-${text.slice(1)}`,
      `${text.slice(0, -2)}==`,
      `\0${text.slice(1)}`,
    ]) {
      assert.equal(decodeKey(Buffer.from(other, 'latin1')), undefined, JSON.stringify(other));
    }
  });
});
