import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Masker } from '../../../../client/cio/exec/masker.ts';
import { secretPatternsOf } from '../../../../client/cio/exec/secret-patterns.ts';
import { PROVIDERS } from '../../../../src/providers/registry.ts';
import { Canaries } from '../../../support/canary.ts';

function maskerOf(values: Readonly<Record<string, string>>): (text: string) => string {
  const patterns = secretPatternsOf({
    set: 'aws',
    provider: PROVIDERS.get('aws'),
    values: new Map(Object.entries(values)),
  });
  return (text) => {
    const masker = new Masker(patterns);
    return Buffer.concat([masker.push(Buffer.from(text)), masker.flush()]).toString();
  };
}

describe('secretPatternsOf()', () => {
  it('finds a secret in the forms in which programs write it', () => {
    const secret = 'pä s/wörd+"%$';
    const mask = maskerOf({ backup_password: secret });
    for (const form of [
      secret,
      encodeURIComponent(secret),
      encodeURIComponent(secret).replaceAll(/%../g, (escape) => escape.toLowerCase()),
      new URLSearchParams([['', secret]]).toString().slice(1),
      JSON.stringify(secret).slice(1, -1),
      JSON.stringify(secret).slice(1, -1).replaceAll('/', '\\/'),
      Buffer.from(secret).toString('base64'),
      Buffer.from(secret).toString('base64url'),
    ]) {
      assert.match(mask(`before ${form} after`), /^before <masked>=* after$/, form);
    }
  });

  it('leaves nothing of a secret that is found in base64, wherever it begins in it', () => {
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

  it('finds a secret of many lines line by line, with the line ends of a terminal, and unpacked from JSON', () => {
    const key = [
      '-----BEGIN PRIVATE KEY-----',
      'MIIEvQIBADANBgkqhkiG9w0B',
      'QDXkzXYZ0123456789abcdef',
      '-----END PRIVATE KEY-----',
    ];
    const account = JSON.stringify({ type: 'service_account', private_key: `${key.join('\n')}\n` }, undefined, 2);
    const patterns = secretPatternsOf({
      set: 'google',
      provider: PROVIDERS.get('google'),
      values: new Map([['service_account', account]]),
    });
    for (const text of [
      account,
      account.replaceAll('\n', '\r\n'),
      key.join('\r\n'),
      Buffer.from(account).toString('base64').replaceAll(/.{76}/g, '$&\n'),
    ]) {
      const masker = new Masker(patterns);
      const shown = Buffer.concat([masker.push(Buffer.from(text)), masker.flush()]).toString();
      assert.doesNotMatch(shown, /MIIEvQ|QDXkzX|abcdef/);
      for (let at = 0; at + 16 < text.length; at += 1) {
        const part = text.slice(at, at + 16);
        assert.ok(!/^[A-Za-z0-9+/]{16}$/.test(part) || !shown.includes(part), shown);
      }
    }
  });

  it('finds a line of eight bytes, and cuts a long secret nowhere so that less is left', () => {
    assert.equal(maskerOf({ secret_key: 'shorter\nof-eight' })('a shorter of-eight.'), 'a shorter <masked>.');
    // It looks the same wherever a piece of it could begin.
    const canary = 'qZ7-'.repeat(100);
    for (let length = 100; length <= 300; length += 1) {
      const secret = canary.slice(0, length);
      assert.equal(maskerOf({ secret_key: secret })(`a ${secret}.`), 'a <masked>.');
      const values = new Map([['secret_key', secret]]);
      const patterns = secretPatternsOf({ set: 'aws', provider: PROVIDERS.get('aws'), values });
      assert.ok(
        patterns.every((pattern) => pattern.length >= 8 && pattern.length <= 136),
        `${length}`,
      );
    }
  });

  it('has nothing of what is public, or too short', () => {
    const mask = maskerOf({
      access_key: 'AKIAPUBLIC',
      region: 'eu-central-1',
      backup_password: 'abc',
      secret_key: 'abcd',
    });
    assert.equal(mask('AKIAPUBLIC eu-central-1 abc abcd'), 'AKIAPUBLIC eu-central-1 abc <masked>');
  });
});
