import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { formatObject } from '../../../../client/cio/out/object-yaml.ts';

describe('formatObject()', () => {
  it('escapes what a terminal would act upon or hide, and parses to the same object', () => {
    const texts = [
      '\u009b2Jx',
      'a\u202eb',
      '\u2028',
      '\u200b',
      '\u{e0041}',
      '\u{f0000}',
      '\u001b[31m',
      'x\u007f',
      '\r',
    ];
    for (const text of [...texts, texts.join('\n'), `${'long '.repeat(30)}\n\u0085\ttab\n\n`]) {
      const object = { [text]: text, list: [text], plain: 'as it is' };
      const yaml = formatObject(object);
      assert.doesNotMatch(yaml, /(?![\t\n])[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/u);
      assert.deepEqual(parse(yaml), object);
    }
  });

  it('keeps white space at the beginning of a block', () => {
    for (const text of [' \n', '\n  \n\n', '\t\n', ' \nx', '\n \n\t', 'a\n \nb\n']) {
      const object = { [text]: text, list: [text, { text }], plain: 'as it is' };
      assert.deepEqual(parse(formatObject(object)), object, JSON.stringify(text));
    }
  });

  it('leaves other text unquoted and unfolded', () => {
    const long = 'word '.repeat(40).trim();
    assert.equal(formatObject({ a: 'ü', long, n: 1 }), `a: ü\nlong: ${long}\nn: 1\n`);
  });
});
