import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { LineEditor, type LineEnd } from '../../../client/cio/line-editor.ts';
import { anyText } from '../../src/any-text.ts';

function type(keys: string | Uint8Array, editor: LineEditor = new LineEditor(1000)): LineEnd | undefined {
  return editor.push(Buffer.from(keys as Uint8Array));
}

function line(text: string): LineEnd {
  return { kind: 'line', text };
}

describe('LineEditor', () => {
  it('ends a line at CR, LF or CR LF', () => {
    for (const end of ['\r', '\n', '\r\n']) assert.deepEqual(type(`secret${end}`), line('secret'));
  });

  it('forget() drops what was typed ahead', () => {
    const editor = new LineEditor(1000);
    assert.deepEqual(type('one\rtwo\rthr', editor), line('one'));
    editor.forget();
    assert.equal(editor.begin(), undefined);
    assert.deepEqual(type('four\r', editor), line('four'));
  });

  it('returns no line before Enter', () => {
    const editor = new LineEditor(1000);
    assert.equal(type('sec', editor), undefined);
    assert.equal(editor.text, 'sec');
    assert.deepEqual(type('ret\r', editor), line('secret'));
  });

  it('assembles characters that arrive byte by byte', () => {
    const editor = new LineEditor(1000);
    for (const byte of Buffer.from('pä🔑')) assert.equal(editor.push(Uint8Array.of(byte)), undefined);
    assert.deepEqual(type('\r', editor), line('pä🔑'));
  });

  it('deletes the last character on Backspace, however many bytes it has', () => {
    assert.deepEqual(type('abc\u007f\u007fx\r'), line('ax'));
    assert.deepEqual(type('a🔑\bx\r'), line('ax'));
    assert.deepEqual(type('\u007f\u007fx\r'), line('x'));
  });

  it('clears the line on Ctrl-U', () => {
    assert.deepEqual(type('wrong\u0015right\r'), line('right'));
  });

  it('reports Ctrl-C at once, at any position', () => {
    assert.deepEqual(type('\u0003'), { kind: 'interrupt' });
    assert.deepEqual(type('secret\u0003'), { kind: 'interrupt' });
  });

  it('takes Ctrl-D for the end on an empty line only', () => {
    assert.deepEqual(type('\u0004'), { kind: 'end' });
    assert.deepEqual(type('ab\u0004c\r'), line('abc'));
  });

  it('keeps arrows, function keys and control characters out of the text', () => {
    assert.deepEqual(type('a\u001b[Ab\u001bOPc\u001b[15;2~d\u001bxe\u0001\u001af\r'), line('abcdef'));
    // F1 on the Linux console, and a terminal's report that it lost the focus.
    assert.deepEqual(type('a\u001b[[Ab\u001b[Oc\r'), line('abc'));
    assert.deepEqual(type('\u001b[200~pasted\u001b[201~\r'), line('pasted'));
  });

  it('keeps a tab, which a pasted secret may contain', () => {
    assert.deepEqual(type('a\tb\r'), line('a\tb'));
  });

  it('ends at the first of several pasted lines, and keeps the rest for the next questions', () => {
    const editor = new LineEditor(1000);
    assert.deepEqual(type('one\r\ntwo\nthr', editor), line('one'));
    assert.deepEqual(editor.begin(), line('two'));
    assert.equal(editor.begin(), undefined);
    assert.deepEqual(type('ee\r', editor), line('three'));
    assert.equal(editor.begin(), undefined);
    assert.deepEqual(type('\r', editor), line(''));
    assert.deepEqual(type('four\n\nsix\r', editor), line('four'));
    assert.deepEqual([editor.begin(), editor.begin()], [line(''), line('six')]);
  });

  it('keeps a byte order mark, with which a pasted secret may begin', () => {
    assert.deepEqual(type('\ufeffa\r'), line('\ufeffa'));
  });

  it('drops what exceeds its limit', () => {
    assert.deepEqual(type('abcdef\r', new LineEditor(3)), line('abc'));
  });

  it('returns any text without control characters, however it is split', () => {
    fc.assert(
      fc.property(anyText, fc.array(fc.nat(20)), (text, sizes) => {
        const plain = text.replaceAll(/[\u0000-\u001f\u007f]/g, '');
        const editor = new LineEditor(1000);
        let bytes: Buffer = Buffer.from(plain);
        for (const size of sizes) {
          assert.equal(editor.push(bytes.subarray(0, size)), undefined);
          bytes = bytes.subarray(size);
        }
        assert.deepEqual(editor.push(Buffer.concat([bytes, Buffer.from('\r')])), line(plain));
      }),
    );
  });
});
