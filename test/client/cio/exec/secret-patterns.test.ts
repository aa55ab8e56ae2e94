import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { secretsOf } from '../../../../client/cio/exec/execution.ts';
import { Masker } from '../../../../client/cio/exec/masker.ts';
import { secretPatternsOf } from '../../../../client/cio/exec/secret-patterns.ts';
import { PROVIDERS } from '../../../../src/providers/registry.ts';
import { Canaries } from '../../../support/canary.ts';

function patternsOf(values: Readonly<Record<string, string>>, provider = 'aws'): readonly Uint8Array[] {
  const content = { set: 'a', provider: PROVIDERS.get(provider), values: new Map(Object.entries(values)) };
  return secretPatternsOf(secretsOf(content));
}

function maskerOf(values: Readonly<Record<string, string>>, provider?: string): (text: string) => string {
  const patterns = patternsOf(values, provider);
  return (text) => {
    const masker = new Masker(patterns);
    return Buffer.concat([masker.push(Buffer.from(text)), masker.flush()]).toString();
  };
}

describe('secretPatternsOf()', () => {
  it('finds a secret in the encodings in which programs print it', () => {
    for (const secret of [
      'pä s/wörd+"%$',
      'ä!<"\t&',
      'one!(of)*these~',
      'R&D <3 $1,2;x=y',
      '?>\u{1f600}???>>>>',
      'six by',
    ]) {
      const mask = maskerOf({ backup_password: secret });
      const url = encodeURIComponent(secret);
      const query = new URLSearchParams([['', secret]]).toString().slice(1);
      const strict = url.replaceAll(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16)}`.toUpperCase());
      const json = JSON.stringify(secret).slice(1, -1);
      const base64 = Buffer.from(secret).toString('base64');
      for (const form of [
        secret,
        url,
        url.replaceAll(/%../g, (escape) => escape.toLowerCase()),
        Object.assign(new URL('https://host'), { password: secret }).password,
        query.replaceAll('*', '%2A'),
        strict,
        strict.replaceAll('%20', '+'),
        json,
        json.replaceAll('/', '\\/'),
        base64,
        base64.replaceAll('=', ''),
        Buffer.from(secret).toString('base64url'),
      ]) {
        assert.equal(mask(`before ${form} after`), 'before <masked> after', form);
      }
    }
  });

  it('finds a secret as Go and Python write it', () => {
    const mask = maskerOf({ backup_password: 'ä/R&D <3> \u{1f600}!~$1,2;x=y' });
    for (const form of [
      'ä/R\\u0026D \\u003c3\\u003e \u{1f600}!~$1,2;x=y',
      '\\u00e4/R&D <3> \\ud83d\\ude00!~$1,2;x=y',
      '%C3%A4%2FR&D%20%3C3%3E%20%F0%9F%98%80%21~$1,2;x=y',
      '%C3%A4/R%26D%20%3C3%3E%20%F0%9F%98%80%21~%241%2C2%3Bx%3Dy',
      '%C3%A4%2FR%26D+%3C3%3E+%F0%9F%98%80%21~%241%2C2%3Bx%3Dy',
    ]) {
      assert.equal(mask(`before ${form} after`), 'before <masked> after', form);
    }
  });

  it('finds a secret as shells quote it', () => {
    const mask = maskerOf({ backup_password: `it's "$HOME" \`x\` \\` });
    for (const form of [
      `it's \\"\\$HOME\\" \\\`x\\\` \\\\`,
      `it'\\''s "$HOME" \`x\` \\`,
      `it'"'"'s "$HOME" \`x\` \\`,
    ]) {
      assert.equal(mask(`export X=${form};`), 'export X=<masked>;', form);
    }
  });

  it('masks the base64 characters that depend on the secret alone', () => {
    const mask = maskerOf({ secret_key: 'nine-byte' });
    // base64 of 'nine-byte...', '.nine-byte..' and '..nine-byte.'.
    for (const [text, shown] of [
      ['bmluZS1ieXRlLi4u', '<masked>Li4u'],
      ['Lm5pbmUtYnl0ZS4u', 'Lm<masked>S4u'],
      ['Li5uaW5lLWJ5dGUu', 'Li5<masked>Uu'],
    ] as const) {
      assert.equal(mask(text), shown);
    }
    assert.equal(maskerOf({ secret_key: 'abcd' })('YWJjZ is too short'), 'YWJjZ is too short');
  });

  it('leaves no part of a secret inside longer base64, at any offset', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 9 }), fc.string({ maxLength: 9 }), (before, after) => {
        const canaries = new Canaries();
        const secret = canaries.plantWord('secret');
        const mask = maskerOf({ secret_key: secret });
        assert.deepEqual(canaries.findIn('base64', mask(Buffer.from(before + secret + after).toString('base64'))), []);
      }),
      { numRuns: 30 },
    );
  });

  it("finds a multi-line secret line by line, with a terminal's line ends, and extracted from JSON", () => {
    const key = [
      '-----BEGIN PRIVATE KEY-----',
      'MIIEvQIBADANBgkqhkiG9w0B',
      'QDXkzXYZ0123456789abcdef',
      '-----END PRIVATE KEY-----',
    ];
    const account = JSON.stringify({ type: 'service_account', private_key: `${key.join('\n')}\n` }, undefined, 2);
    const mask = maskerOf({ service_account: account }, 'google');
    for (const text of [
      account,
      account.replaceAll('\n', '\r\n'),
      key.join('\r\n'),
      Buffer.from(account).toString('base64').replaceAll(/.{76}/g, '$&\n'),
    ]) {
      const shown = mask(text);
      assert.doesNotMatch(shown, /MIIEvQ|QDXkzX|abcdef/);
      for (let at = 0; at + 16 < text.length; at += 1) {
        const part = text.slice(at, at + 16);
        assert.ok(!/^[A-Za-z0-9+/]{16}$/.test(part) || !shown.includes(part), shown);
      }
    }
  });

  it("finds short lines as a whole, also with a terminal's line ends, and a secret without its surrounding white space", () => {
    assert.equal(maskerOf({ secret_key: 'one\ntwo\n' })('a one\r\ntwo\r\n.'), 'a <masked>\r\n.');
    assert.equal(maskerOf({ secret_key: `'one"\n"two'\n` })(`a 'one"\n"two'.`), 'a <masked>.');
    assert.equal(maskerOf({ secret_key: ' short\n' })('a=short\r\n'), 'a=<masked>\r\n');
    assert.equal(maskerOf({ secret_key: ' ab\t' })('ab= ab\t.'), 'ab=<masked>.');
    assert.equal(maskerOf({ secret_key: 'short1\n' })('a c2hvcnQxCg==\n'), 'a <masked>\n');
    assert.equal(maskerOf({ secret_key: 'short1\n' })('a c2hvcnQx\n'), 'a <masked>\n');
    assert.equal(maskerOf({ secret_key: 'a:\n  an-indented-line' })('> an-indented-line'), '> <masked>');
  });

  it('does not split a long secret inside a multi-byte character', () => {
    for (const begin of ['', '.', '..', '...']) {
      const secret = begin + '\u{1f600}'.repeat(150);
      assert.equal(maskerOf({ secret_key: secret })(`a ${secret}.`), 'a <masked>.');
    }
  });

  it('finds a line of eight bytes, and splits a long secret into parts of at least eight', () => {
    assert.equal(maskerOf({ secret_key: 'shorter\nof-eight' })('a shorter of-eight.'), 'a shorter <masked>.');
    // Repetitive, so that every part of it looks alike.
    const canary = 'qZ7-'.repeat(100);
    for (let length = 100; length <= 300; length += 1) {
      const secret = canary.slice(0, length);
      assert.equal(maskerOf({ secret_key: secret })(`a ${secret}.`), 'a <masked>.');
      assert.ok(
        patternsOf({ secret_key: secret }).every((pattern) => pattern.length >= 8 && pattern.length <= 136),
        `${length}`,
      );
    }
  });

  it('ignores public fields and secrets that are too short', () => {
    const mask = maskerOf({
      access_key: 'AKIAPUBLIC',
      region: 'eu-central-1',
      backup_password: 'abc',
      secret_key: 'abcd',
    });
    assert.equal(mask('AKIAPUBLIC eu-central-1 abc abcd'), 'AKIAPUBLIC eu-central-1 abc <masked>');
  });
});
