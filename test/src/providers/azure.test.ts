import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AZURE, azureHostOf } from '../../../src/providers/azure.ts';
import { GOOGLE } from '../../../src/providers/google.ts';
import type { Provider } from '../../../src/providers/provider.ts';

function check(provider: Provider, id: string, text: string): string | undefined {
  return provider.fields.find((field) => field.id === id)?.check?.(text);
}

describe('the fields of AZURE and GOOGLE', () => {
  const key = Buffer.alloc(64, 7).toString('base64');
  const fields: readonly (readonly [Provider, id: string, taken: readonly string[], refused: readonly string[]])[] = [
    [AZURE, 'account_name', ['cioprobe', 'devstoreaccount1'], ['', 'ab', 'Account', 'my-account', 'a'.repeat(25), key]],
    [AZURE, 'account_key', [key, 'YQ==', 'YWI=', 'YWJj'], ['', 'account', '!!!!', `${key}\n`, key.slice(1), '====']],
    [
      AZURE,
      'endpoint_suffix',
      ['core.windows.net', 'core.chinacloudapi.cn', 'localhost:10000'],
      ['', 'https://core.windows.net', 'core.windows.net/', '.windows.net', 'a b', 'x:99999'],
    ],
    [GOOGLE, 'project_id', ['backups-415611', 'example.com:backups', '123'], ['', 'Backups', 'a b', 'a/b', 'p\n']],
    [
      GOOGLE,
      'endpoint',
      ['https://storage.googleapis.com', 'storage.example.org:8443'],
      ['', 'http://storage.googleapis.com', 'https://host/storage/v1/', 'a,b'],
    ],
  ];
  for (const [provider, id, taken, refused] of fields) {
    it(`${id} accepts valid values only`, () => {
      for (const text of taken) assert.equal(check(provider, id, text), undefined, text);
      for (const text of refused) assert.equal(typeof check(provider, id, text), 'string', JSON.stringify(text));
    });
  }

  it('never repeat a value in an error', () => {
    const any = fc.constantFrom(...AZURE.fields, ...GOOGLE.fields);
    fc.assert(
      fc.property(any, fc.stringMatching(/^[ \n\0]canary[a-z]{8}[\n\0\u00e9]$/), (field, text) => {
        assert.ok(!(field.check?.(text) ?? '').includes('canary'));
      }),
    );
  });

  it('mark the keys as secret', () => {
    const secrets = [AZURE, GOOGLE].map(({ fields }) => fields.filter(({ isSecret }) => isSecret).map(({ id }) => id));
    assert.deepEqual(secrets, [
      ['account_key', 'backup_password'],
      ['service_account', 'backup_password'],
    ]);
  });
});

describe('azureHostOf()', () => {
  it('puts the account before the endpoint suffix, by default that of the public cloud', () => {
    assert.equal(azureHostOf('account'), 'account.blob.core.windows.net');
    assert.equal(azureHostOf('account', 'localhost:10000'), 'account.blob.localhost:10000');
  });
});
