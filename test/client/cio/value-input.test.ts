import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { CommandError, type CommandErrorCode } from '../../../client/cio/command-error.ts';
import { readValueFromFile, withoutNewline } from '../../../client/cio/value-input.ts';
import { isCredentialError } from '../../../src/errors.ts';
import { VALUE_BYTES_MAX } from '../../../src/limits.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

function fileWith(scope: Scope, content: string | Uint8Array): string {
  const file = path.join(temporaryDirectory(scope), 'value');
  fs.writeFileSync(file, content);
  return file;
}

function refuses(code: CommandErrorCode, act: () => unknown): void {
  assert.throws(act, (error) => error instanceof CommandError && error.code === code);
}

describe('withoutNewline()', () => {
  it('drops exactly one line end', () => {
    for (const [text, value] of [
      ['a\n', 'a'],
      ['a\r\n', 'a'],
      ['a\n\n', 'a\n'],
      ['a\r', 'a\r'],
      ['\n', ''],
      ['a', 'a'],
      ['', ''],
      ['\na', '\na'],
    ] as const) {
      assert.equal(Buffer.from(withoutNewline(Buffer.from(text))).toString(), value);
    }
  });
});

describe('readValueFromFile()', () => {
  const read = (file: string, keepNewline = false): string =>
    Buffer.from(readValueFromFile(file, { keepNewline })).toString('latin1');

  it('reads any bytes unchanged', (t) => {
    assert.equal(read(fileWith(t, Buffer.from([0, 0xff, 0x0a, 0x61, 0x0a]))), '\u0000\u00ff\na');
  });

  it('keeps the line end with `keepNewline`', (t) => {
    const file = fileWith(t, 'a\r\n');
    assert.equal(read(file), 'a');
    assert.equal(read(file, true), 'a\r\n');
  });

  it('accepts the largest value, followed by a line end', (t) => {
    assert.equal(read(fileWith(t, `${'x'.repeat(VALUE_BYTES_MAX)}\r\n`)).length, VALUE_BYTES_MAX);
    const tooLarge = fileWith(t, 'x'.repeat(VALUE_BYTES_MAX + 1));
    assert.throws(
      () => read(tooLarge),
      (error) => isCredentialError(error, 'TooLarge'),
    );
    assert.throws(
      () => read(fileWith(t, `${'x'.repeat(VALUE_BYTES_MAX)}\n`), true),
      (error) => isCredentialError(error, 'TooLarge'),
    );
  });

  it('reads no more of an endless file than needed to see that it is too large', () => {
    assert.throws(
      () => read('/dev/zero'),
      (error) => isCredentialError(error, 'TooLarge'),
    );
  });

  it('refuses an empty file, a folder, and a file that does not exist', (t) => {
    refuses('NoValue', () => read(fileWith(t, '')));
    refuses('NoValue', () => read(fileWith(t, '\n')));
    refuses('NoValue', () => read('/dev/null', true));
    refuses('ReadFailed', () => read(temporaryDirectory(t)));
    refuses('ReadFailed', () => read('/nonexistent/file'));
  });
});
