import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Masker } from '../../../../client/cio/exec/masker.ts';

const bytes = (...texts: readonly string[]): Buffer[] => texts.map((text) => Buffer.from(text));
const latin1 = (each: Uint8Array): string => Buffer.from(each).toString('latin1');

/** Returns everything that a masker shows of a text that arrives in these pieces. */
function mask(patterns: readonly Uint8Array[], pieces: readonly Uint8Array[]): string {
  const masker = new Masker(patterns);
  return [...pieces.map((piece) => masker.push(piece)), masker.flush()].map(latin1).join('');
}

describe('Masker', () => {
  it('replaces every pattern, and the longest of those that begin at one place', () => {
    const patterns = bytes('secret', 'secret-longer', 'word');
    assert.equal(
      mask(patterns, bytes('a secret, a secret-longer, a secret-long, words')),
      'a <masked>, a <masked>, a <masked>-long, <masked>s',
    );
    assert.equal(mask(patterns, bytes('secretsecret')), '<masked>');
    assert.equal(mask(patterns, bytes('secret', 'word', '.')), '<masked>.');
  });

  it('masks overlapping patterns completely', () => {
    for (const pieces of [bytes('x abcdefgh.'), bytes('x abcde', 'fgh.'), bytes('x abcdef', 'gh.')]) {
      assert.equal(mask(bytes('abcdef', 'defgh'), pieces), 'x <masked>.');
      assert.equal(mask(bytes('abcdefgh', 'cde'), pieces), 'x <masked>.');
    }
  });

  it('shows at once what cannot begin a pattern, and the rest on flush()', () => {
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

  it('holds back a complete pattern as long as a longer one may follow', () => {
    const masker = new Masker(bytes('secret', 'secret-longer'));
    assert.equal(latin1(masker.push(Buffer.from('x secret-long'))), 'x ');
    assert.equal(latin1(masker.flush()), '<masked>-long');
  });

  it('masks the same bytes however the text is split', () => {
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

  it('takes over from another masker in mid-text, with what that one held back', () => {
    const before = new Masker(bytes('first-secret', 'et and'));
    const follow = (): Masker => new Masker(bytes('first-secret', 'et and', 'second'), before);
    assert.equal(latin1(before.push(Buffer.from('a first-'))), 'a ');
    assert.equal(latin1(follow().push(Buffer.from('secret, second.'))), '<masked>, <masked>.');
    assert.equal(latin1(before.push(Buffer.from('secret an'))), '<masked>');
    assert.equal(latin1(follow().push(Buffer.from('ew second.'))), ' anew <masked>.');
    assert.equal(latin1(follow().push(Buffer.from('dsecond, a first'))), ', a ');
  });

  it('masks any byte sequence', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array({ minLength: 2 }), fc.uint8Array(), (before, secret, after) => {
        const shown = mask([secret], [before, secret, after]);
        assert.ok(shown.length >= '<masked>'.length && shown.includes('<masked>'));
      }),
    );
  });

  it('handles as many patterns as the largest secret has', () => {
    const patterns = Array.from({ length: 200_000 }, (_, index) => Buffer.from(`${index}`.padStart(6, 'x')));
    assert.equal(mask(patterns, bytes('a x12345, 199999.')), 'a <masked>, <masked>.');
  });

  it('refuses a pattern that is too short to be found', () => {
    assert.throws(() => new Masker(bytes('x')), RangeError);
  });
});

/** The reference implementation: masks every byte that is part of a pattern. */
function byHand(text: string, patterns: readonly string[]): string {
  const isMasked = Array.from(text, () => false);
  for (let at = 0; at < text.length; at += 1) {
    for (const pattern of patterns) if (text.startsWith(pattern, at)) isMasked.fill(true, at, at + pattern.length);
  }
  const masked = Array.from(text, (character, at) => (isMasked[at] === true ? '<masked>' : character)).join('');
  return masked.replaceAll(/(?:<masked>)+/g, '<masked>');
}
