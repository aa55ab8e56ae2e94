import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { formatCount, printable, printableJson, truncate, widthOf } from '../../../client/cio/text.ts';
import { anyText } from '../../src/any-text.ts';

describe('formatCount()', () => {
  it('uses the plural for every number but one', () => {
    assert.deepEqual(
      [formatCount(0, 'set'), formatCount(1, 'set'), formatCount(2, 'set')],
      ['0 sets', '1 set', '2 sets'],
    );
  });
});

describe('printable()', () => {
  it('escapes what a terminal would act upon', () => {
    assert.equal(printable('a\u001b[31mb'), 'a\\u{1b}[31mb');
    assert.equal(printable('\u0007\r\n\u009b'), '\\u{7}\\u{d}\\u{a}\\u{9b}');
    assert.equal(printable('abc\u202ecba'), 'abc\\u{202e}cba');
    assert.equal(printable('a\u200bb\u2028c'), 'a\\u{200b}b\\u{2028}c');
    assert.equal(printable('\ud800'), '\\u{d800}');
  });

  it('leaves everything else unchanged', () => {
    for (const text of ['', 's3:https://host/b?x=1', 'Größe', '日本語', '🔑']) assert.equal(printable(text), text);
  });

  it('never passes a control character on', () => {
    fc.assert(fc.property(anyText, (text) => assert.doesNotMatch(printable(text), /\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/u)));
  });
});

describe('printableJson()', () => {
  it('parses to the same document, and contains no control character', () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const json = printableJson({ [text]: [text] });
        assert.deepEqual(JSON.parse(json), { [text]: [text] });
        assert.doesNotMatch(json, /\p{Cc}|\p{Cf}|\p{Zl}|\p{Zp}/u);
      }),
    );
    assert.equal(printableJson('\u009b2J\u{e0001}'), String.raw`"\u009b2J\udb40\udc01"`);
  });
});

describe('widthOf()', () => {
  it('counts columns: two for East Asian characters and emoji, none for combining characters', () => {
    for (const [text, width] of [
      ['', 0],
      ['abc', 3],
      ['Größe', 5],
      ['日本', 4],
      ['🔑', 2],
      ['e\u0301', 1],
    ] as const) {
      assert.equal(widthOf(text), width);
    }
  });
});

describe('truncate()', () => {
  it('keeps a text that fits, and cuts a longer one with an ellipsis', () => {
    assert.equal(truncate('abcdef', 6), 'abcdef');
    assert.equal(truncate('abcdef', 5), 'abcd…');
    assert.equal(truncate('日本語', 5), '日本…');
    assert.equal(truncate('日本語', 4), '日…');
    assert.equal(truncate('abc', 1), '…');
  });

  it('never returns more columns than asked for', () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 40 }), (text, width) => {
        assert.ok(widthOf(truncate(printable(text), width)) <= width);
      }),
    );
  });
});
