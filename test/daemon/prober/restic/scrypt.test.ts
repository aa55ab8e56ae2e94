import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  deriveKey,
  isAffordable,
  isDeriving,
  SCRYPT_MEMORY_BYTES_MAX,
} from '../../../../daemon/prober/restic/scrypt.ts';
import { countDerivations } from './derivations.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('isAffordable()', () => {
  it('accepts parameters up to the limits of memory and work', () => {
    assert.equal(isAffordable({ N: 8, r: 2 ** 17, p: 6 }), true);
    assert.equal(isAffordable({ N: 8, r: 2 ** 17, p: 7 }), false);
    assert.equal(isAffordable({ N: 2 ** 17, r: 8, p: 8 }), true);
    assert.equal(isAffordable({ N: 2 ** 17, r: 8, p: 9 }), false);
  });
});

describe('deriveKey()', () => {
  it('derives the key of RFC 7914, section 12', async () => {
    const key = await deriveKey(Buffer.from('pleaseletmein'), Buffer.from('SodiumChloride'), { N: 16_384, r: 8, p: 1 });
    assert.equal(hex(key.encrypt), '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2');
    assert.equal(hex(key.macK), 'd5432955613f0fcf62d49705242a9af9');
    assert.equal(hex(key.macR), 'e61e85dc0d651e40dfcf017b45575887');
  });

  it('has enough memory for the largest accepted parameters', async () => {
    const largest = { N: 2 ** 17, r: 15, p: 1 };
    assert.ok(isAffordable(largest));
    assert.ok(128 * largest.N * largest.r > 0.9 * SCRYPT_MEMORY_BYTES_MAX);
    const key = await deriveKey(Buffer.from('password'), Buffer.alloc(64), largest);
    assert.equal(key.encrypt.length, 32);
  });

  it('makes isDeriving() true until it settles', async () => {
    assert.equal(isDeriving(), false);
    const derive = (): Promise<unknown> => deriveKey(Buffer.from('password'), Buffer.alloc(64), { N: 2, r: 1, p: 1 });
    const both = [derive(), derive()];
    assert.equal(isDeriving(), true);
    await Promise.all(both);
    assert.equal(isDeriving(), false);
  });

  it('refuses unaffordable or invalid parameters, and derives nothing', async () => {
    for (const [N, r, p] of [
      [2 ** 18, 8, 1],
      [3, 1, 1],
      [2, 1, 0],
    ] as const) {
      const derivations = await countDerivations(() =>
        assert.rejects(deriveKey(Buffer.from('password'), Buffer.alloc(64), { N, r, p }), {
          name: 'RangeError',
          message: /out of bounds$/,
        }),
      );
      assert.equal(derivations, 0);
    }
  });
});
