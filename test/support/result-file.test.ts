import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { UsageError } from './command-line.ts';
import { ResultFile } from './result-file.ts';
import { temporaryDirectory } from './temporary-directory.ts';

describe('ResultFile', () => {
  it('creates the folder at once and the file at the end, and leaves an older file alone until then', (context) => {
    const file = path.join(temporaryDirectory(context), 'build', 'torture.json');
    const reserved = ResultFile.reserve(file);
    assert.equal(existsSync(file), false);
    reserved.write({ form: 'short' });
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { form: 'short' });
    ResultFile.reserve(file);
    assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { form: 'short' });
  });

  it('rejects a file that cannot be written before the work begins, even as root', (context) => {
    const file = path.join(temporaryDirectory(context), 'file');
    writeFileSync(file, '');
    assert.throws(() => ResultFile.reserve(path.join(file, 'torture.json')), UsageError);
    assert.throws(() => ResultFile.reserve('/proc/torture.json'), UsageError);
  });
});
