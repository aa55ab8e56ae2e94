import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makePassphrase, makePassword, randomIndex } from '../../../daemon/password/make-password.ts';
import { WORDS } from '../../../daemon/password/words.ts';

describe('WORDS', () => {
  it('are 7772 different words of a to z, none a prefix of another', () => {
    const words = new Set(WORDS);
    assert.deepEqual([WORDS.length, words.size], [7772, 7772]);
    assert.deepEqual(
      WORDS.filter((word) => !/^[a-z]{3,9}$/.test(word)),
      [],
    );
    const begun = WORDS.filter((word) => Array.from(word).some((_, end) => end > 0 && words.has(word.slice(0, end))));
    assert.deepEqual(begun, []);
  });
});

describe('makePassword()', () => {
  it('uses every character of its alphabet about equally often, and no other', () => {
    const counts = new Map<string, number>();
    const { text } = makePassword(56_000);
    for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
    assert.equal(counts.size, 56);
    assert.doesNotMatch(text, /[^A-Za-z0-9]|[0Oo1Il]/);
    // Each count has a mean of 1000 and a standard deviation of 31.3: one in 10^15 is off by more than eight of them.
    for (const [character, count] of counts) assert.ok(Math.abs(count - 1000) < 250, `${character}: ${count}`);
  });

  it('returns the number of bits, rounded down', () => {
    assert.deepEqual([makePassword(16).bits, makePassword(32).bits], [92, 185]);
  });
});

describe('makePassphrase()', () => {
  it('joins words of the list, and returns the number of bits, rounded down', async () => {
    const { text, bits } = await makePassphrase(5);
    const words = text.split('-');
    assert.equal(words.length, 5);
    for (const word of words) assert.ok(WORDS.includes(word));
    assert.equal(bits, 64);
  });
});

describe('randomIndex()', () => {
  it('draws again to stay unbiased', () => {
    const draws = [0xffff, 0xfff0, 57];
    // 65536 is 1170 times 56 and 16 more: the last 16 are drawn again.
    const index = randomIndex(56, () => Uint8Array.of((draws[0] ?? 0) >> 8, (draws.shift() ?? 0) & 0xff));
    assert.deepEqual([index, draws], [1, []]);
  });
});
