import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { asReadFromFile, trim } from '../../src/white-space.ts';

describe('trim()', () => {
  it('removes Unicode white space at both ends, and no byte order mark', () => {
    assert.equal(trim('\t\u0085 a \u3000b\r\n'), 'a \u3000b');
    for (const text of ['', 'a', '\ufeff a', '\u200ba', 'a\u180e']) assert.equal(trim(text), text);
    assert.equal(trim(' \n'), '');
  });
});

describe('asReadFromFile()', () => {
  it('removes one byte order mark first, as restic does', () => {
    assert.equal(asReadFromFile('\ufeff a password\r\n'), 'a password');
    assert.equal(asReadFromFile(' \ufeffa'), '\ufeffa');
    assert.equal(asReadFromFile('\ufeff\ufeffa'), '\ufeffa');
    assert.equal(asReadFromFile('a\ufeff'), 'a\ufeff');
  });
});
