import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PublicRandom } from '../../../daemon/vault/public-random.ts';

describe('PublicRandom', () => {
  it('returns the requested number of bytes, and none of them twice, over many refills', () => {
    const random = new PublicRandom();
    const given = new Set<string>();
    const sizes = [16, 24, 24, 4096, 8, 1000];
    for (let round = 0; round < 500; round += 1) {
      for (const bytes of sizes) {
        const taken = Buffer.from(random.take(bytes)).toString('latin1');
        assert.equal(taken.length, bytes);
        for (let at = 0; at + 8 <= bytes; at += 8) given.add(taken.slice(at, at + 8));
      }
    }
    assert.equal(given.size, 500 * (sizes.reduce((sum, bytes) => sum + bytes, 0) / 8));
  });

  it('returns other bytes than another instance', () => {
    assert.notDeepEqual(new PublicRandom().take(16), new PublicRandom().take(16));
  });
});
