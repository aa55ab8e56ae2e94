import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { quoteIfNeeded } from '../../../src/forms/shell.ts';
import { runSuccessfully } from '../../support/process.ts';

describe('quoteIfNeeded()', () => {
  it('quotes any text as one word for a shell', async () => {
    const words = ['plain', '', "it's", '$(id) `id` ; & | > \\ "', 'two\nlines', '*', '~', '-rf', 'ü'];
    const output = await runSuccessfully(['/bin/sh', '-c', `printf '%s\\0' ${words.map(quoteIfNeeded).join(' ')}`]);
    assert.deepEqual(output.split('\0').slice(0, -1), words);
  });
});
