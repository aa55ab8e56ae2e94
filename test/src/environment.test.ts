import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EnvironmentChange } from '../../src/environment.ts';
import { environmentOf } from '../../src/environment.ts';
import type { Provider } from '../../src/providers/provider.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';

const AWS_SET = {
  backup_repo: 's3:https://s3.amazonaws.com/backup-123',
  access_key: 'AKIAIOSFODNN7EXAMPLE',
  secret_key: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  backup_password: ' line one\nline two ',
};
const MINIO_SET = { ...AWS_SET, backup_repo: 's3:http://192.168.1.100:9001/cio-backup-bucket' };

function provider(id: string): Provider {
  return PROVIDERS.get(id) ?? assert.fail(`no provider ${id}`);
}

function environment(set: string, id: string, values: Readonly<Record<string, string>>): EnvironmentChange {
  return environmentOf(set, provider(id), new Map(Object.entries(values)));
}

describe('environmentOf()', () => {
  it('passes the values of a set to restic, rclone and the AWS tools unchanged', () => {
    assert.deepEqual(Object.fromEntries(environment('aws', 'aws', AWS_SET).set), {
      RESTIC_REPOSITORY: AWS_SET.backup_repo,
      RESTIC_PASSWORD: AWS_SET.backup_password,
      AWS_ACCESS_KEY_ID: AWS_SET.access_key,
      AWS_SECRET_ACCESS_KEY: AWS_SET.secret_key,
      RCLONE_CONFIG_AWS_TYPE: 's3',
      RCLONE_CONFIG_AWS_PROVIDER: 'AWS',
      RCLONE_CONFIG_AWS_ACCESS_KEY_ID: AWS_SET.access_key,
      RCLONE_CONFIG_AWS_SECRET_ACCESS_KEY: AWS_SET.secret_key,
    });
  });

  it("sets the endpoint of a server other than Amazon's", () => {
    const { set } = environment('minio_alt', 'minio', MINIO_SET);
    assert.equal(set.get('RCLONE_CONFIG_MINIO_ALT_ENDPOINT'), 'http://192.168.1.100:9001');
    assert.equal(set.get('AWS_ENDPOINT_URL_S3'), 'http://192.168.1.100:9001');
    assert.equal(set.get('RCLONE_CONFIG_MINIO_ALT_PROVIDER'), 'Minio');
    assert.equal(set.get('RCLONE_CONFIG_MINIO_ALT_FORCE_PATH_STYLE'), 'true');
  });

  it('configures rclone for any other server if a set aws names one', () => {
    const elsewhere = environment('aws', 'aws', { ...AWS_SET, backup_repo: 's3:http://127.0.0.1:9000/b' }).set;
    assert.equal(elsewhere.get('RCLONE_CONFIG_AWS_PROVIDER'), 'Other');
    assert.equal(elsewhere.get('RCLONE_CONFIG_AWS_FORCE_PATH_STYLE'), 'true');
    const amazon = environment('aws', 'aws', AWS_SET);
    assert.equal(amazon.set.get('RCLONE_CONFIG_AWS_PROVIDER'), 'AWS');
    assert.equal(amazon.set.has('RCLONE_CONFIG_AWS_FORCE_PATH_STYLE'), false);
    assert.ok(amazon.unset.includes('RCLONE_CONFIG_AWS_FORCE_PATH_STYLE'));
  });

  it('passes the optional fields that the set has', () => {
    const { set } = environment('aws', 'aws', { ...AWS_SET, region: 'eu-central-1', session_token: 'token' });
    assert.equal(set.get('AWS_DEFAULT_REGION'), 'eu-central-1');
    assert.equal(set.get('AWS_REGION'), 'eu-central-1');
    assert.equal(set.get('RCLONE_CONFIG_AWS_REGION'), 'eu-central-1');
    assert.equal(set.get('AWS_SESSION_TOKEN'), 'token');
    assert.equal(set.get('RCLONE_CONFIG_AWS_SESSION_TOKEN'), 'token');
  });

  it("names rclone's remote after the set, with only the characters that a variable name allows", () => {
    const { set } = environment('off.site-2', 's3', MINIO_SET);
    assert.equal(set.get('RCLONE_CONFIG_OFF_SITE_2_TYPE'), 's3');
    for (const [name] of set) assert.match(name, /^[A-Z][A-Z0-9_]*$/);
  });

  it('unsets variables that would override or contradict the set', () => {
    const { unset } = environment('aws', 'aws', AWS_SET);
    for (const name of [
      'AWS_SESSION_TOKEN',
      'AWS_PROFILE',
      'AWS_ENDPOINT_URL',
      'AWS_ENDPOINT_URL_S3',
      'RESTIC_PASSWORD_FILE',
      'RESTIC_PASSWORD_COMMAND',
      'RESTIC_REPOSITORY_FILE',
    ]) {
      assert.ok(unset.includes(name), name);
    }
  });

  it("unsets the remaining options of a remote with the set's name", () => {
    const { unset } = environment('aws', 'aws', AWS_SET);
    for (const option of ['SESSION_TOKEN', 'REGION', 'ENDPOINT'])
      assert.ok(unset.includes(`RCLONE_CONFIG_AWS_${option}`));
    assert.ok(environment('aws', 'aws', {}).unset.includes('RCLONE_CONFIG_AWS_SECRET_ACCESS_KEY'));
  });

  it('never unsets a variable that it sets, nor any variable twice', () => {
    for (const values of [{}, AWS_SET, MINIO_SET, { ...MINIO_SET, region: 'x', session_token: 'y', provider: 's3' }]) {
      for (const id of PROVIDERS.keys()) {
        const { set, unset } = environment(id, id, values);
        assert.ok(unset.every((name) => !set.has(name)));
        assert.equal(new Set(unset).size, unset.length);
      }
    }
  });

  it('returns the variables in a stable order', () => {
    const reversed = Object.fromEntries(Object.entries(MINIO_SET).toReversed());
    const [first, second] = [environment('s3', 's3', MINIO_SET), environment('s3', 's3', reversed)];
    assert.deepEqual([...first.set], [...second.set]);
    assert.deepEqual(first.unset, second.unset);
  });

  it('sets what an incomplete set has', () => {
    const { set } = environment('aws', 'aws', { access_key: AWS_SET.access_key });
    assert.deepEqual(
      [...set.keys()],
      ['AWS_ACCESS_KEY_ID', 'RCLONE_CONFIG_AWS_TYPE', 'RCLONE_CONFIG_AWS_PROVIDER', 'RCLONE_CONFIG_AWS_ACCESS_KEY_ID'],
    );
  });

  it('sets no endpoint for a repository outside S3, and passes its value on', () => {
    const { set } = environment('s3', 's3', { ...AWS_SET, backup_repo: '/srv/repo' });
    assert.equal(set.get('RESTIC_REPOSITORY'), '/srv/repo');
    assert.equal(set.has('AWS_ENDPOINT_URL_S3'), false);
  });

  it('ignores fields that the provider does not have', () => {
    const { set } = environment('aws', 'aws', { constructor: 'x', account_key: 'y' });
    assert.ok(![...set.values()].some((value) => value === 'x' || value === 'y'));
  });

  it("sets the set's proxy under every usual name, and keeps the caller's proxy if the set has none", () => {
    const names = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'];
    const { set } = environment('aws', 'aws', { ...AWS_SET, proxy: 'http://proxy:3128' });
    for (const name of names) assert.equal(set.get(name), 'http://proxy:3128');
    const without = environment('aws', 'aws', AWS_SET);
    assert.ok(!names.some((name) => without.set.has(name) || without.unset.includes(name)));
  });

  it("sets no keys if the set uses the machine's identity, and keeps the variables that lead to it", () => {
    const { set, unset } = environment('aws', 'aws', { ...AWS_SET, use_iam: 'true' });
    assert.equal(set.get('RCLONE_CONFIG_AWS_ENV_AUTH'), 'true');
    assert.equal(set.get('RESTIC_PASSWORD'), AWS_SET.backup_password);
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'RCLONE_CONFIG_AWS_SECRET_ACCESS_KEY']) {
      assert.equal(set.has(name), false, name);
      assert.ok(unset.includes(name), name);
    }
    assert.ok(!unset.includes('AWS_WEB_IDENTITY_TOKEN_FILE'));
    const without = environment('aws', 'aws', { ...AWS_SET, use_iam: 'false' });
    assert.equal(without.set.get('AWS_ACCESS_KEY_ID'), AWS_SET.access_key);
    assert.ok(without.unset.includes('AWS_WEB_IDENTITY_TOKEN_FILE'));
  });

  it('passes an Azure account to restic and rclone', () => {
    const values = {
      backup_repo: 'azure:backup:/',
      account_name: 'account',
      account_key: 'a2V5',
      backup_password: 'p',
    };
    assert.deepEqual(Object.fromEntries(environment('azure', 'azure', values).set), {
      RESTIC_REPOSITORY: 'azure:backup:/',
      RESTIC_PASSWORD: 'p',
      AZURE_ACCOUNT_NAME: 'account',
      AZURE_STORAGE_ACCOUNT: 'account',
      AZURE_ACCOUNT_KEY: 'a2V5',
      AZURE_STORAGE_KEY: 'a2V5',
      RCLONE_CONFIG_AZURE_TYPE: 'azureblob',
      RCLONE_CONFIG_AZURE_ACCOUNT: 'account',
      RCLONE_CONFIG_AZURE_KEY: 'a2V5',
    });
    const { set, unset } = environment('azure', 'azure', { ...values, endpoint_suffix: 'core.usgovcloudapi.net' });
    assert.equal(set.get('AZURE_ENDPOINT_SUFFIX'), 'core.usgovcloudapi.net');
    assert.equal(set.get('RCLONE_CONFIG_AZURE_ENDPOINT'), 'https://account.blob.core.usgovcloudapi.net');
    for (const name of ['AZURE_ACCOUNT_SAS', 'AZURE_CLIENT_SECRET', 'AZURE_STORAGE_CONNECTION_STRING']) {
      assert.ok(unset.includes(name), name);
    }
  });

  it('passes a Google service account to rclone; restic takes it as a file only', () => {
    const values = {
      backup_repo: 'gs:backup:/',
      project_id: 'p-1',
      service_account: '{"x":\n1}',
      backup_password: 'p',
    };
    const { set, unset } = environment('google', 'google', values);
    assert.deepEqual(Object.fromEntries(set), {
      RESTIC_REPOSITORY: 'gs:backup:/',
      RESTIC_PASSWORD: 'p',
      GOOGLE_PROJECT_ID: 'p-1',
      GOOGLE_CLOUD_PROJECT: 'p-1',
      RCLONE_CONFIG_GOOGLE_TYPE: 'google cloud storage',
      RCLONE_CONFIG_GOOGLE_PROJECT_NUMBER: 'p-1',
      RCLONE_CONFIG_GOOGLE_SERVICE_ACCOUNT_CREDENTIALS: '{"x":\n1}',
    });
    assert.ok(unset.includes('GOOGLE_APPLICATION_CREDENTIALS'));
    const identity = environment('google', 'google', { ...values, use_iam: 'true' });
    assert.ok(!identity.unset.includes('GOOGLE_APPLICATION_CREDENTIALS'));
    assert.ok(!identity.set.has('RCLONE_CONFIG_GOOGLE_SERVICE_ACCOUNT_CREDENTIALS'));
  });
});
