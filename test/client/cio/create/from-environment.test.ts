import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { readEnvironment } from '../../../../client/cio/create/from-environment.ts';
import { PROVIDERS } from '../../../../src/providers/registry.ts';
import type { Provider } from '../../../../src/providers/provider.ts';
import { temporaryDirectory } from '../../../support/temporary-directory.ts';

function provider(id: string): Provider {
  const found = PROVIDERS.get(id);
  assert.ok(found !== undefined);
  return found;
}

function read(id: string, environment: Readonly<Record<string, string>>): Record<string, string> {
  const values = readEnvironment(provider(id), environment, () => false);
  return Object.fromEntries([...values].map(([field, { text }]) => [field, text]));
}

const AWS = { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'canarysecret' };

describe('readEnvironment()', () => {
  it("reads the provider's own variables, and restic's where they are set", () => {
    assert.deepEqual(read('aws', AWS), { access_key: 'AKIA', secret_key: 'canarysecret' });
    const more = {
      RESTIC_REPOSITORY: 's3:https://s3.amazonaws.com/b',
      RESTIC_PASSWORD: ' pw ',
      AWS_REGION: 'eu-1',
      AWS_ENDPOINT_URL: 'https://minio.example',
      HTTPS_PROXY: 'http://proxy.example:3128',
    };
    assert.deepEqual(read('s3', { ...AWS, ...more }), {
      backup_repo: 's3:https://s3.amazonaws.com/b',
      access_key: 'AKIA',
      secret_key: 'canarysecret',
      backup_password: ' pw ',
      region: 'eu-1',
      endpoint: 'https://minio.example',
    });
  });

  it("reads pharmer's variables, and the file of a service account", (t) => {
    assert.deepEqual(read('azure', { AZURE_STORAGE_ACCOUNT: 'account1', AZURE_STORAGE_KEY: 'QUJD' }), {
      account_name: 'account1',
      account_key: 'QUJD',
    });
    const key = '-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n';
    const account = JSON.stringify({ type: 'service_account', client_email: 'a@b.example', private_key: key });
    const wanted = { project_id: 'p-1', service_account: account };
    assert.deepEqual(read('google', { GCE_PROJECT_ID: 'p-1', GCE_SERVICE_ACCOUNT: account }), wanted);
    const file = path.join(temporaryDirectory(t), 'key.json');
    fs.writeFileSync(file, `${account}\n`);
    assert.deepEqual(read('google', { GOOGLE_PROJECT_ID: 'p-1', GOOGLE_APPLICATION_CREDENTIALS: file }), wanted);
    const lost = { GOOGLE_PROJECT_ID: 'p-1', GOOGLE_APPLICATION_CREDENTIALS: `${file}x` };
    assert.throws(() => read('google', lost), {
      message: /cannot open the file of GOOGLE_APPLICATION_CREDENTIALS \/.*\/key\.jsonx: it does not exist \(ENOENT\)/,
    });
  });

  it('prefers the S3 endpoint to the endpoint of all services', () => {
    const [one, other] = [
      { AWS_ENDPOINT_URL_S3: 'https://one.example' },
      { AWS_ENDPOINT_URL: 'https://other.example' },
    ];
    for (const id of ['aws', 'minio', 's3']) {
      assert.equal(read(id, { ...AWS, ...other })['endpoint'], 'https://other.example', id);
      assert.equal(read(id, { ...AWS, ...one, ...other })['endpoint'], 'https://one.example', id);
    }
  });

  for (const [what, environment, told] of [
    ['is not set', { AWS_ACCESS_KEY_ID: 'AKIA' }, /^AWS_SECRET_ACCESS_KEY is not set/],
    ['is empty', { ...AWS, AWS_SECRET_ACCESS_KEY: '' }, /^AWS_SECRET_ACCESS_KEY is not valid: it is empty/],
    ['is white space', { ...AWS, AWS_SECRET_ACCESS_KEY: ' \t' }, /^AWS_SECRET_ACCESS_KEY is not valid: .*white space/],
    [
      'is white space beside another one',
      { ...AWS, AWS_DEFAULT_REGION: 'canary', AWS_REGION: ' ' },
      /^AWS_REGION is not valid: .*white space/,
    ],
    ['is an empty password', { ...AWS, RESTIC_PASSWORD: '' }, /^RESTIC_PASSWORD is not valid: it is empty/],
    ['cannot be', { ...AWS, AWS_REGION: 'canary region' }, /^AWS_REGION is not valid: it is not 1 to 64/],
    [
      'is said twice',
      { ...AWS, AWS_REGION: 'a', AWS_DEFAULT_REGION: 'b' },
      /^AWS_DEFAULT_REGION and AWS_REGION differ/,
    ],
  ] as const) {
    it(`names the variable when it ${what}, and repeats no value`, () => {
      assert.throws(
        () => read('aws', environment),
        (error: Error & { code: string; hint: string }) => {
          assert.match(error.message, told);
          assert.doesNotMatch(error.message + error.hint, /canary/);
          return error.code === 'InvalidInput';
        },
      );
    });
  }

  it('treats an empty optional variable as unset', () => {
    assert.deepEqual(Object.keys(read('aws', { ...AWS, AWS_SESSION_TOKEN: '', AWS_REGION: '' })), [
      'access_key',
      'secret_key',
    ]);
  });

  it('points at a variable that differs in case only', () => {
    assert.throws(() => read('aws', { PATH: '/bin', aws_access_key_id: 'x' }), { hint: 'there is aws_access_key_id' });
    assert.throws(() => read('aws', { PATH: '/bin' }), { hint: 'export AWS_ACCESS_KEY_ID=…' });
  });

  it('names every variable that could supply a missing field', () => {
    assert.throws(() => read('google', { GOOGLE_PROJECT_ID: 'p-1' }), {
      message: /^GCE_SERVICE_ACCOUNT \(nor GOOGLE_APPLICATION_CREDENTIALS\) is not set/,
    });
  });

  it('does not require fields that are given elsewhere', () => {
    const values = readEnvironment(provider('aws'), {}, ({ id }) => id === 'access_key' || id === 'secret_key');
    assert.equal(values.size, 0);
  });
});
