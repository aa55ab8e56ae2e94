import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { poly1305 } from '../../../../daemon/prober/restic/poly1305.ts';
import { referencePoly1305 } from './reference.ts';
import { watchWipes } from './wiped.ts';

const bytes = (hex: string): Uint8Array => Buffer.from(hex, 'hex');
const hex = (array: Uint8Array): string => Buffer.from(array).toString('hex');
const half = fc.uint8Array({ minLength: 16, maxLength: 16 });
/** With many bytes that make limbs carry. */
const message = fc
  .array(fc.oneof(fc.constantFrom(0, 255), fc.nat(255)), { maxLength: 200 })
  .map((a) => new Uint8Array(a));

function aes(key: string, nonce: string): Uint8Array {
  return createCipheriv('aes-128-ecb', bytes(key), null).setAutoPadding(false).update(bytes(nonce));
}

/**
 * Returns a tag of ChaCha20-Poly1305 (RFC 8439, section 2.8), computed with OpenSSL's ChaCha20 and the tested function.
 */
function chachaTag(key: Uint8Array, nonce: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  const start = Buffer.concat([new Uint8Array(4), nonce]);
  const oneTime = createCipheriv('chacha20', key, start).update(new Uint8Array(32));
  const padding = new Uint8Array((16 - (ciphertext.length % 16)) % 16);
  const lengths = Buffer.alloc(16);
  lengths.writeBigUInt64LE(BigInt(ciphertext.length), 8);
  const authenticated = Buffer.concat([ciphertext, padding, lengths]);
  return poly1305(oneTime.subarray(0, 16), oneTime.subarray(16), authenticated);
}

describe('poly1305()', () => {
  // Bernstein, "The Poly1305-AES message-authentication code", appendix B.
  const aesVectors: readonly (readonly [message: string, r: string, k: string, nonce: string, tag: string])[] = [
    [
      'f3f6',
      '851fc40c3467ac0be05cc20404f3f700',
      'ec074c835580741701425b623235add6',
      'fb447350c4e868c52ac3275cf9d4327e',
      'f4c633c3044fc145f84f335cb81953de',
    ],
    [
      '',
      'a0f3080000f46400d0c7e9076c834403',
      '75deaa25c09f208e1dc4ce6b5cad3fbf',
      '61ee09218d29b0aaed7e154a2c5509cc',
      'dd3fab2251f11ac759f0887129cc2ee7',
    ],
    [
      '663cea190ffb83d89593f3f476b6bc24d7e679107ea26adb8caf6652d0656136',
      '48443d0bb0d21109c89a100b5ce2c208',
      '6acb5f61a7176dd320c5c1eb2edcdc74',
      'ae212a55399729595dea458bc621ff0e',
      '0ee1c16bb73f0f4fd19881753c01cdbe',
    ],
  ];
  for (const [text, r, k, nonce, tag] of aesVectors) {
    it(`returns the tag of Bernstein's message of ${text.length / 2} bytes`, () =>
      assert.equal(hex(poly1305(bytes(r), aes(k, nonce), bytes(text))), tag));
  }

  // RFC 8439, section 2.5.2 and appendix A.3, vectors 7 to 9 and 11: the edges of the field.
  const rfcVectors: readonly (readonly [r: string, s: string, message: string, tag: string])[] = [
    [
      '85d6be7857556d337f4452fe42d506a8',
      '0103808afb0db2fd4abff6af4149f51b',
      hex(Buffer.from('Cryptographic Forum Research Group')),
      'a8061dc1305136c6c22b8baf0c0127a9',
    ],
    [`02${'00'.repeat(15)}`, '00'.repeat(16), 'ff'.repeat(16), `03${'00'.repeat(15)}`],
    [`02${'00'.repeat(15)}`, 'ff'.repeat(16), `02${'00'.repeat(15)}`, `03${'00'.repeat(15)}`],
    [
      `01${'00'.repeat(15)}`,
      '00'.repeat(16),
      `${'ff'.repeat(16)}f0${'ff'.repeat(15)}11${'00'.repeat(15)}`,
      `05${'00'.repeat(15)}`,
    ],
    [
      `01${'00'.repeat(15)}`,
      '00'.repeat(16),
      `${'ff'.repeat(16)}fb${'fe'.repeat(15)}${'01'.repeat(16)}`,
      '00'.repeat(16),
    ],
    [`02${'00'.repeat(15)}`, '00'.repeat(16), `fd${'ff'.repeat(15)}`, `fa${'ff'.repeat(15)}`],
  ];
  for (const [r, s, text, tag] of rfcVectors) {
    it(`returns the tag ${tag} of RFC 8439 for s = ${s}`, () =>
      assert.equal(hex(poly1305(bytes(r), bytes(s), bytes(text))), tag));
  }

  it('agrees with integer arithmetic', () => {
    fc.assert(
      fc.property(half, half, message, (r, s, text) => {
        assert.equal(hex(poly1305(r, s, text)), hex(referencePoly1305(r, s, text)));
      }),
      { numRuns: 2000 },
    );
  });

  it("agrees with OpenSSL's ChaCha20-Poly1305", () => {
    const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const nonce = fc.uint8Array({ minLength: 12, maxLength: 12 });
    fc.assert(
      fc.property(key, nonce, message, (key, nonce, text) => {
        const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
        const ciphertext = Buffer.concat([cipher.update(text), cipher.final()]);
        assert.equal(hex(chachaTag(key, nonce, ciphertext)), hex(cipher.getAuthTag()));
      }),
      { numRuns: 1000 },
    );
  });

  it('does not change the key', () => {
    const [r, s] = [new Uint8Array(16).fill(255), new Uint8Array(16).fill(255)];
    poly1305(r, s, new Uint8Array(40));
    assert.ok([...r, ...s].every((byte) => byte === 255));
  });

  it('wipes its working memory: the clamped key, the block, and five numbers', (t) => {
    const { arrays } = watchWipes(t);
    poly1305(new Uint8Array(16).fill(15), new Uint8Array(16).fill(1), new Uint8Array(16).fill(255));
    const wiped = [...arrays];
    assert.equal(wiped.filter((array) => array instanceof Uint8Array).length, 2);
    assert.equal(wiped.filter((array) => array instanceof Float64Array).length, 5);
    for (const array of wiped) assert.ok(array.every((value) => value === 0));
  });

  it('refuses a key of another length', () => {
    assert.throws(() => poly1305(new Uint8Array(15), new Uint8Array(16), new Uint8Array()), RangeError);
    assert.throws(() => poly1305(new Uint8Array(16), new Uint8Array(17), new Uint8Array()), RangeError);
  });
});
