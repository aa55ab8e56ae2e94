import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { pad, unpad } from '../../../daemon/vault/padding.ts';

describe('pad()', () => {
  it('is undone by unpad()', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), (text) => {
        assert.deepEqual(unpad(pad(text)), text);
      }),
    );
  });

  it('makes at least 256 bytes, and adds at most 12 % above that', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2_000_000 }), (length) => {
        const padded = pad(new Uint8Array(length)).length;
        assert.ok(padded >= Math.max(256, length + 4));
        assert.ok(padded === 256 || padded <= (length + 4) * 1.12, `${length}: ${padded}`);
      }),
      { numRuns: 50 },
    );
  });

  it('maps many lengths to few sizes', () => {
    const sizes = new Set(Array.from({ length: 20_000 }, (_, length) => pad(new Uint8Array(length)).length));
    assert.ok(sizes.size < 110, `${sizes.size} sizes`);
  });

  it('makes the sizes of Padmé', () => {
    const sizes = [0, 252, 253, 260, 261, 1000, 4092, 4093, 65_000, 1_048_576].map(
      (length) => pad(new Uint8Array(length)).length,
    );
    assert.deepEqual(sizes, [256, 256, 272, 272, 272, 1024, 4096, 4352, 65_536, 1_081_344]);
  });

  it('writes the length in front of the text, and zeros behind it', () => {
    const padded = pad(Buffer.from('abc'));
    assert.equal(Buffer.from(padded.subarray(0, 8)).toString('latin1'), '\0\0\0\x03abc\0');
    assert.ok(padded.subarray(7).every((byte) => byte === 0));
  });
});

describe('pad() with scratch', () => {
  it('makes the same padding, inside the scratch memory if that is large enough', () => {
    const scratch = new Uint8Array(304);
    for (const [length, isInScratch] of [
      [0, true],
      [290, true],
      [301, false],
    ] as const) {
      const text = Buffer.alloc(length, 'x');
      const padded = pad(text, scratch);
      assert.deepEqual(Buffer.from(padded), Buffer.from(pad(text)));
      assert.equal(padded.buffer === scratch.buffer, isInScratch, `${length}`);
      padded.fill(0);
    }
    assert.ok(scratch.every((byte) => byte === 0));
  });
});

describe('unpad()', () => {
  it('returns a view, so that wiping the text wipes the padded bytes', () => {
    const padded = pad(Buffer.from('secret'));
    unpad(padded)?.fill(0);
    assert.ok(!Buffer.from(padded).includes('secret'));
  });

  it('reads a view into a larger buffer', () => {
    const large = Buffer.concat([Buffer.from('before'), pad(Buffer.from('abc')), Buffer.from('after')]);
    assert.equal(Buffer.from(unpad(large.subarray(6, 6 + 256)) ?? []).toString(), 'abc');
  });

  it('refuses a length that does not fit, and never throws', () => {
    for (const bytes of [[], [0], [0, 0, 0], [0, 0, 0, 1], [255, 255, 255, 255, 1], [0, 0, 1, 0, 1, 2, 3]]) {
      assert.equal(unpad(Uint8Array.from(bytes)), undefined);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = unpad(bytes);
        assert.ok(text === undefined || text.length <= bytes.length - 4);
      }),
    );
  });
});
