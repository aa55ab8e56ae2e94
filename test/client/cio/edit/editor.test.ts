import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { editorOf, splitWords } from '../../../../client/cio/edit/editor.ts';
import { CommandError } from '../../../../client/cio/command-error.ts';

describe('splitWords()', () => {
  it('splits as a shell does, and does nothing else of what a shell does', () => {
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
  it('prefers VISUAL to EDITOR, takes empty ones for none, and tells where there is no editor', () => {
    assert.deepEqual(editorOf({ VISUAL: 'a b', EDITOR: 'c' }), ['a', 'b']);
    assert.deepEqual(editorOf({ VISUAL: '', EDITOR: 'c' }), ['c']);
    assert.throws(() => editorOf({ PATH: '/nonexistent' }), CommandError);
  });
});
