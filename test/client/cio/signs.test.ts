import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hasUnicode, sign } from '../../../client/cio/signs.ts';
import { withLocale } from './with-locale.ts';

describe('hasUnicode()', () => {
  it('uses the character set of the first of LC_ALL, LC_CTYPE and LANG that is set', () => {
    for (const locale of ['de_DE.UTF-8', 'C.utf8', 'en_US.UTF-8@euro']) assert.ok(hasUnicode({ LANG: locale }), locale);
    for (const locale of ['C', 'POSIX', 'de_DE', 'de_DE.ISO-8859-15']) assert.ok(!hasUnicode({ LANG: locale }), locale);
    assert.ok(!hasUnicode({ LC_ALL: 'C', LC_CTYPE: 'C.UTF-8', LANG: 'C.UTF-8' }));
    assert.ok(!hasUnicode({ LC_ALL: '', LC_CTYPE: 'C', LANG: 'C.UTF-8' }));
    assert.ok(hasUnicode({ LC_ALL: 'C.UTF-8', LC_CTYPE: 'C', LANG: 'C' }));
  });

  it('assumes Unicode where no locale is set', () => {
    for (const environment of [{}, { LANG: '' }, { LC_MESSAGES: 'C' }]) assert.ok(hasUnicode(environment));
  });
});

describe('sign()', () => {
  it('returns one ASCII character for each sign where the locale has no more', (t) => {
    const signs = ['!', '✔', '✖', '–', '·', '→', '…', '•'] as const;
    withLocale(t, 'C.UTF-8');
    assert.deepEqual(signs.map(sign), signs);
    withLocale(t, 'C');
    for (const each of signs) assert.match(sign(each), /^[!-~]$/);
  });
});
