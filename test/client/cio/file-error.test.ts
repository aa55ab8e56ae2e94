import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { reasonOf, shownPath } from '../../../client/cio/file-error.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

describe('shownPath()', () => {
  it('shows the existing part of a path whole, and no more than the beginning of the next part', (t) => {
    const folder = temporaryDirectory(t);
    const file = path.join(folder, 'a-file-with-a-rather-long-name');
    fs.writeFileSync(file, '');
    assert.equal(shownPath(file), file);
    assert.equal(shownPath(path.join(folder, 'missing')), path.join(folder, 'missing'));
    assert.equal(
      shownPath(path.join(folder, 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY')),
      path.join(folder, 'wJalrXUt…'),
    );
    assert.equal(shownPath(`${file}/x`), `${file}/x`);
    assert.equal(shownPath('/'), '/');
    assert.equal(shownPath(''), process.cwd());
  });
});

describe('reasonOf()', () => {
  it('has words for common errors, and the code of any other', () => {
    assert.equal(reasonOf(Object.assign(new Error('x'), { code: 'EACCES' })), 'permission denied (EACCES)');
    assert.equal(reasonOf(Object.assign(new Error('x'), { code: 'EXDEV' })), 'EXDEV');
    // Node's code for EDQUOT, which it has no name for.
    const code = 'Unknown system error -122';
    assert.equal(reasonOf(Object.assign(new Error('x'), { code })), 'the quota is used up (EDQUOT)');
    assert.equal(reasonOf(new Error('secret')), 'unknown error');
  });
});
