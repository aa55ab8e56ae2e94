import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { editorOf, splitWords } from '../../../../client/cio/edit/editor.ts';
import { CommandError } from '../../../../client/cio/command-error.ts';

describe('splitWords()', () => {
  it('splits into words as a shell does, without any expansion', () => {
    for (const [text, words] of [
      ['vi', ['vi']],
      ['  code  --wait ', ['code', '--wait']],
      [`'my editor' "a \\"b\\"" c\\ d e'f'"g"`, ['my editor', 'a "b"', 'c d', 'efg']],
      ['vi $HOME `x` ; rm', ['vi', '$HOME', '`x`', ';', 'rm']],
      [`"" x`, ['', 'x']],
      ['', []],
    ] as const) {
      assert.deepEqual(splitWords(text), words);
    }
  });
});

describe('editorOf()', () => {
  it('prefers VISUAL to EDITOR, ignores empty ones, and throws where no editor is found', () => {
    assert.deepEqual(editorOf({ VISUAL: 'a b', EDITOR: 'c' }), ['a', 'b']);
    assert.deepEqual(editorOf({ VISUAL: '', EDITOR: 'c' }), ['c']);
    assert.throws(() => editorOf({ PATH: '/nonexistent' }), CommandError);
  });
});
