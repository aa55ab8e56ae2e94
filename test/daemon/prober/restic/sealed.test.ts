import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { openSealed, wipeKey } from '../../../../daemon/prober/restic/sealed.ts';
import { randomKey, seal } from './reference.ts';
import { watchWipes } from './wiped.ts';

const bytes = (hex: string): Uint8Array => Buffer.from(hex, 'hex');

describe('openSealed()', () => {
  it("opens the sealed text of restic's own tests", () => {
    const key = {
      encrypt: bytes('303e8687b1d7db18421bdc6bb8588ccadac4d59ee87b8ff70c44e635790cafef'),
      macK: bytes('ef4d8824cb80b2bcc5fbff8a9b12a42c'),
      macR: bytes('cc8d4b948ee0ebfe1d415de921d10353'),
    };
    const sealed =
      '69fb41c62d12def4593bd71757138606338f621aeaeb39da0fe4f99233f8037a54ea63338a813bcf3f75d8c3cc75dddf8750';
    const text = openSealed(key, bytes(sealed));
    assert.ok(typeof text !== 'string');
    assert.equal(Buffer.from(text).toString(), 'Dies ist ein Test!');
  });

  it('opens what was sealed with its key, and reports a changed bit', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(), fc.nat(7), (text, place, bit) => {
        const key = randomKey();
        const sealed = seal(key, text);
        assert.deepEqual(Uint8Array.from(openSealed(key, sealed) as Uint8Array), text);
        const index = place % sealed.length;
        sealed[index] = (sealed[index] ?? 0) ^ (1 << bit);
        assert.equal(openSealed(key, sealed), 'unauthenticated');
        assert.equal(openSealed(randomKey(), sealed), 'unauthenticated');
      }),
    );
  });

  it('wipes the expected tag, so that it is no help to forge a text', (t) => {
    const key = randomKey();
    const sealed = seal(key, Buffer.from('text'));
    const tag = Uint8Array.from(sealed.subarray(-16));
    sealed.subarray(-16).fill(0);
    const wiped = watchWipes(t);
    assert.equal(openSealed(key, sealed), 'unauthenticated');
    assert.ok(wiped.has(tag));
  });

  it('refuses a nonce of zeros, even with a matching tag', () => {
    const key = randomKey();
    assert.equal(openSealed(key, seal(key, Buffer.from('text'), new Uint8Array(16))), 'malformed');
  });

  it('refuses what is too short for a nonce and a tag', () => {
    const key = randomKey();
    const sealed = seal(key, new Uint8Array());
    assert.deepEqual(Uint8Array.from(openSealed(key, sealed) as Uint8Array), new Uint8Array());
    for (let length = 0; length < 32; length += 1) {
      assert.equal(openSealed(key, sealed.subarray(0, length)), 'malformed');
    }
  });

  for (const part of ['encrypt', 'macK', 'macR'] as const) {
    it(`refuses a key whose ${part} is all zeros`, () => {
      const key = randomKey();
      key[part].fill(0);
      assert.equal(openSealed(key, seal(key, Buffer.from('text'))), 'malformed');
    });
  }
});

describe('wipeKey()', () => {
  it('fills the key with zeros', () => {
    const key = randomKey();
    wipeKey(key);
    assert.ok([...key.encrypt, ...key.macK, ...key.macR].every((byte) => byte === 0));
  });
});
