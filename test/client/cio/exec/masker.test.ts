import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Masker } from '../../../../client/cio/exec/masker.ts';

const bytes = (...texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text));
const latin1 = (each: Uint8Array): string => Buffer.from(each).toString('latin1');

/** All that a masker shows of a text that comes in these pieces. */
function mask(patterns: readonly Uint8Array[], pieces: readonly Uint8Array[]): string {
  const masker = new Masker(patterns);
  return [...pieces.map((piece) => masker.push(piece)), masker.flush()].map(latin1).join('');
}

describe('Masker', () => {
  it('replaces every pattern, the longest where several begin', () => {
    const patterns = bytes('secret', 'secret-longer', 'word');
    assert.equal(
      mask(patterns, bytes('a secret, a secret-longer, a secret-long, words')),
      'a <masked>, a <masked>, a <masked>-long, <masked>s',
    );
    assert.equal(mask(patterns, bytes('secretsecret')), '<masked>');
    assert.equal(mask(patterns, bytes('secret', 'word', '.')), '<masked>.');
  });

  it('shows nothing of a pattern that begins in another one', () => {
    for (const pieces of [bytes('x abcdefgh.'), bytes('x abcde', 'fgh.'), bytes('x abcdef', 'gh.')]) {
      assert.equal(mask(bytes('abcdef', 'defgh'), pieces), 'x <masked>.');
      assert.equal(mask(bytes('abcdefgh', 'cde'), pieces), 'x <masked>.');
    }
  });

  it('shows at once what cannot be the begin of a pattern, and the rest when it is asked to', () => {
    const masker = new Masker(bytes('password'));
    assert.equal(latin1(masker.push(Buffer.from('Continue? [y/N] '))), 'Continue? [y/N] ');
    assert.equal(masker.isHolding, false);
    assert.equal(latin1(masker.push(Buffer.from('the pass'))), 'the ');
    assert.equal(masker.isHolding, true);
    assert.equal(latin1(masker.flush()), 'pass');
    assert.equal(masker.isHolding, false);
    assert.equal(latin1(masker.push(Buffer.from('word. p'))), 'word. ');
    assert.equal(masker.isHolding, true);
  });

  it('holds back a pattern in which a shorter one is whole, until it is clear which of them it is', () => {
    const masker = new Masker(bytes('secret', 'secret-longer'));
    assert.equal(latin1(masker.push(Buffer.from('x secret-long'))), 'x ');
    assert.equal(latin1(masker.flush()), '<masked>-long');
  });

  it('gives the same whatever the pieces are, and shows no pattern', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 60 });
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 2, maxLength: 7 });
    fc.assert(
      fc.property(
        text,
        fc.array(pattern, { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(60)),
        (whole, patterns, cuts) => {
          const places = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).toSorted((a, b) => a - b), whole.length];
          const pieces = places.slice(1).map((to, index) => Buffer.from(whole.slice(places[index], to)));
          const masked = mask(bytes(...patterns), pieces);
          assert.equal(masked, mask(bytes(...patterns), bytes(whole)));
          assert.equal(masked, byHand(whole, patterns));
        },
      ),
    );
  });

  it('takes the place of another one in the midst of a text, and of what that masked', () => {
    const before = new Masker(bytes('first-secret', 'et and'));
    const follow = (): Masker => new Masker(bytes('first-secret', 'et and', 'second'), before);
    assert.equal(latin1(before.push(Buffer.from('a first-'))), 'a ');
    assert.equal(latin1(follow().push(Buffer.from('secret, second.'))), '<masked>, <masked>.');
    assert.equal(latin1(before.push(Buffer.from('secret an'))), '<masked>');
    assert.equal(latin1(follow().push(Buffer.from('ew second.'))), ' anew <masked>.');
    assert.equal(latin1(follow().push(Buffer.from('dsecond, a first'))), ', a ');
  });

  it('takes any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array({ minLength: 2 }), fc.uint8Array(), (before, secret, after) => {
        const shown = mask([secret], [before, secret, after]);
        assert.ok(shown.length >= '<masked>'.length && shown.includes('<masked>'));
      }),
    );
  });

  it('takes as many patterns as a secret of the largest size has', () => {
    const patterns = Array.from({ length: 200_000 }, (_, index) => Buffer.from(`${index}`.padStart(6, 'x')));
    assert.equal(mask(patterns, bytes('a x12345, 199999.')), 'a <masked>, <masked>.');
  });

  it('refuses a pattern that it could not find', () => {
    assert.throws(() => new Masker(bytes('x')), RangeError);
  });
});

/** The same, the simple way: every byte that belongs to a pattern. */
function byHand(text: string, patterns: readonly string[]): string {
  const isMasked = Array.from(text, () => false);
  for (let at = 0; at < text.length; at += 1) {
    for (const pattern of patterns) if (text.startsWith(pattern, at)) isMasked.fill(true, at, at + pattern.length);
  }
  const masked = Array.from(text, (character, at) => (isMasked[at] === true ? '<masked>' : character)).join('');
  return masked.replaceAll(/(?:<masked>)+/g, '<masked>');
}
