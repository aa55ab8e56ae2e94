import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { checkServiceAccount, parseServiceAccount } from '../../../src/providers/service-account.ts';
import { anyText } from '../any-text.ts';

const ACCOUNT = {
  type: 'service_account',
  project_id: 'project',
  private_key_id: 'key-1',
  private_key: '-----BEGIN PRIVATE KEY-----\nMIIEvQ+/\nIBADAN==\n-----END PRIVATE KEY-----\n',
  client_email: 'backup@project.iam.gserviceaccount.com',
  token_uri: 'https://oauth2.googleapis.com/token',
};

const json = (rest: Readonly<Record<string, unknown>> = {}): string => JSON.stringify({ ...ACCOUNT, ...rest });

describe('parseServiceAccount()', () => {
  it("reads a key file of Google's", () => {
    assert.deepEqual(parseServiceAccount(JSON.stringify(ACCOUNT, null, 2)), {
      email: ACCOUNT.client_email,
      privateKey: ACCOUNT.private_key,
      privateKeyId: 'key-1',
      tokenUri: ACCOUNT.token_uri,
    });
  });

  it('does without a key ID, and defaults the token server', () => {
    const { private_key_id: _id, token_uri: _uri, ...rest } = ACCOUNT;
    const account = parseServiceAccount(JSON.stringify(rest));
    assert.ok(!('reason' in account));
    assert.deepEqual([account.privateKeyId, account.tokenUri], [undefined, 'https://oauth2.googleapis.com/token']);
  });

  const refused: Readonly<Record<string, readonly string[]>> = {
    'it is not a JSON object': ['', '/etc/key.json', '[]', 'null', '"x"', json().slice(0, -1)],
    'its type is not service_account': [json({ type: 'authorized_user' }), '{}'],
    'it has no client_email': [json({ client_email: undefined }), json({ client_email: null })],
    'its client_email is not valid': [
      json({ client_email: 1 }),
      json({ client_email: 'nobody' }),
      json({ client_email: 'a@b\r\n' }),
    ],
    'it has no private_key in PEM': [
      json({ private_key: undefined }),
      json({ private_key: 'key' }),
      json({ private_key: ACCOUNT.private_key.replaceAll('PRIVATE', 'PUBLIC') }),
    ],
    'its token_uri is not an https URL': [
      'http://oauth2.googleapis.com/token',
      'https://',
      'https://user@host/token',
      'https://host/token?x=1',
      'https://host/a b',
      'file:///etc/passwd',
    ].map((uri) => json({ token_uri: uri })),
  };
  for (const [reason, texts] of Object.entries(refused)) {
    for (const text of texts) {
      it(`refuses ${text.slice(0, 40)}…: ${reason}`, () => {
        assert.deepEqual(parseServiceAccount(text), { reason });
        assert.equal(checkServiceAccount(text), reason);
      });
    }
  }

  it('reads or refuses any text, with one of a few reasons', () => {
    const almost = fc.dictionary(fc.constantFrom(...Object.keys(ACCOUNT)), fc.jsonValue()).map((rest) => json(rest));
    fc.assert(
      fc.property(fc.oneof(anyText, almost), (text) => {
        const reason = checkServiceAccount(text);
        assert.ok(reason === undefined || Object.keys(refused).includes(reason));
      }),
    );
  });
});
