import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeAndWipe } from '../../../client/cio/decode-text.ts';

describe('decodeAndWipe()', () => {
  it('returns UTF-8 text unchanged, with a byte order mark and NUL, and undefined for other bytes', () => {
    for (const text of ['', 'value', '\ufeffvalue\0\n', 'ключ 🔑'])
      assert.equal(decodeAndWipe(Buffer.from(text)), text);
    for (const bytes of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80]])
      assert.equal(decodeAndWipe(Buffer.from(bytes)), undefined);
  });

  it('wipes the bytes, text or not, and none beside them', () => {
    for (const bytes of [
      [0x61, 0x62],
      [0x61, 0xff],
    ]) {
      const all = new Uint8Array([0x78, ...bytes, 0x79]);
      decodeAndWipe(all.subarray(1, 3));
      assert.deepEqual([...all], [0x78, 0, 0, 0x79]);
    }
  });
});
