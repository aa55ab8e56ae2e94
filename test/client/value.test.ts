import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decodeValue, encodeValue } from '../../client/value.ts';
import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { anyText } from '../src/any-text.ts';

describe('encodeValue()', () => {
  it('encodes any bytes so that decodeValue() returns them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.deepEqual([...(decodeValue(encodeValue(bytes)) ?? [])], [...bytes]);
      }),
    );
  });

  it('sends text as text, including a leading byte order mark', () => {
    for (const text of ['s3:https://host/bucket', 'pässwörd 🔑', '\ufeffsecret', 'two\nlines']) {
      assert.deepEqual(encodeValue(Buffer.from(text)), { value: text });
      assert.equal(Buffer.from(decodeValue({ value: text }) ?? []).toString(), text);
    }
  });

  it('sends other bytes in base64', () => {
    for (const bytes of [[0xff], [0x61, 0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
      assert.deepEqual(encodeValue(Uint8Array.from(bytes)), { data: Buffer.from(bytes).toString('base64') });
    }
  });

  it('sends text that JSON escapes would inflate in base64, so that every value fits into a message', () => {
    const controls = new Uint8Array(VALUE_BYTES_MAX).fill(1);
    const wire = encodeValue(controls);
    assert.ok('data' in wire);
    fc.assert(
      fc.property(fc.oneof(anyText, fc.stringMatching(/^[\u0000-\u001f"\\a]*$/)), (text) => {
        const bytes = Buffer.from(text);
        const length = Buffer.byteLength(JSON.stringify(encodeValue(bytes)));
        assert.ok(length <= (bytes.length * 4) / 3 + 80, `${length} bytes for ${bytes.length}`);
      }),
    );
  });

  it('encodes only the viewed part of a buffer', () => {
    assert.deepEqual(encodeValue(Buffer.from('xxabcxx').subarray(2, 5)), { value: 'abc' });
  });
});

describe('decodeValue()', () => {
  it('refuses a reply with neither field, or with both', () => {
    assert.equal(decodeValue({}), undefined);
    assert.equal(decodeValue({ value: null, data: null }), undefined);
    assert.equal(decodeValue({ value: 'a', data: 'YQ==' }), undefined);
  });

  it('refuses base64 that is not canonical', () => {
    for (const data of ['YQ', 'YQ=', 'Y Q==', 'YQ==\n', '-_8=', 'YR==', '!'])
      assert.equal(decodeValue({ data }), undefined);
  });
});
