import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BUCKET, PREFIX, PROXY } from '../../../src/providers/common-fields.ts';
import type { Field } from '../../../src/providers/provider.ts';
import {
  ACCESS_KEY,
  BACKUP_REPO,
  deriveS3,
  ENDPOINT,
  PATH_STYLE,
  REGION,
  S3_CONTRADICTING,
  S3_FIELDS,
  SECRET_KEY,
  SESSION_TOKEN,
  SSE,
  STORAGE_CLASS,
} from '../../../src/providers/s3-fields.ts';

const HEADER_FIELDS: readonly Field[] = [ACCESS_KEY, SECRET_KEY, SESSION_TOKEN];

function check(field: Field, text: string): string | undefined {
  return field.check?.(text);
}

describe('BACKUP_REPO', () => {
  it('accepts its own example', () => assert.equal(check(BACKUP_REPO, BACKUP_REPO.example ?? ''), undefined));

  it('says what is wrong and what it should look like', () => {
    assert.equal(
      check(BACKUP_REPO, 's3:https://host/'),
      'it has no bucket; it should look like s3:https://HOST/BUCKET',
    );
  });
});

describe('ACCESS_KEY, SECRET_KEY and SESSION_TOKEN', () => {
  for (const field of HEADER_FIELDS) {
    it(`${field.id} accepts visible ASCII`, () => {
      assert.equal(check(field, 'wJalrXUtnFEMI/K7MDENG+bPxRfiCY=='), undefined);
      assert.equal(check(field, '!~'), undefined);
    });

    it(`${field.id} refuses anything that could end a header`, () => {
      for (const text of [
        '',
        ' ',
        'a b',
        'key\n',
        'key\r\nX-Evil: 1',
        ' key',
        '\tkey',
        'key\0',
        'caf\u00e9',
        '\u007f',
      ]) {
        assert.equal(check(field, text), 'it has spaces, line ends or characters outside ASCII', JSON.stringify(text));
      }
    });
  }
});

describe('the optional S3 fields', () => {
  const fields: readonly (readonly [field: Field, taken: readonly string[], refused: readonly string[]])[] = [
    [REGION, ['eu-central-1', 'us_east', 'GARAGE', '1.2'], ['', 'a b', 'eu/1', 'a\n', 'r'.repeat(65), 'é']],
    [
      ENDPOINT,
      ['minio:9000', 'https://s3.example.org', 'http://[::1]:9000', '10.0.0.1:9000,10.0.0.2:9000'],
      ['', ',', 'minio:9000,', 'http:/minio', 'https://minio/bucket', 'a b', 'key@minio', 'minio:99999', 'ftp://minio'],
    ],
    [BUCKET, ['backup-123', 'a.b', 'Ümlaut'], ['', 'a b', 'a/b', 'a\n', 'b'.repeat(256)]],
    [PREFIX, ['host-1', 'a/b/c'], ['', '/a', 'a/', 'a//b', 'a/../b', '.', 'a b', 'a\u200b']],
    [PATH_STYLE, ['true', 'false'], ['', 'True', 'yes', '1', 'true\n']],
    [STORAGE_CLASS, ['STANDARD', 'STANDARD_IA', 'GLACIER_IR'], ['', 'standard', 'GLACIER', 'DEEP_ARCHIVE']],
    [SSE, ['AES256', 'aws:kms'], ['', 'aes256', 'aws:kms ', 'none']],
  ];
  for (const [field, taken, refused] of fields) {
    it(`${field.id} accepts valid values only`, () => {
      for (const text of taken) assert.equal(check(field, text), undefined, text);
      for (const text of refused) assert.equal(typeof check(field, text), 'string', JSON.stringify(text));
      if (field.example !== undefined) assert.equal(check(field, field.example), undefined);
    });
  }
});

describe('deriveS3()', () => {
  const derive = (values: Readonly<Record<string, string>>): ReturnType<typeof deriveS3> =>
    deriveS3(new Map(Object.entries(values)), { PROVIDER: 'Other' });
  const amazon = { backup_repo: 's3:https://s3.amazonaws.com/bucket' };
  const elsewhere = { backup_repo: 's3:http://minio:9000/bucket' };
  const other = { ENDPOINT: 'http://minio:9000', PROVIDER: 'Other', FORCE_PATH_STYLE: 'true' };

  it("returns the repository's server unless it is Amazon's", () => {
    assert.deepEqual(derive(amazon), { rclone: {}, variables: {} });
    assert.deepEqual(derive(elsewhere), { rclone: other, variables: { AWS_ENDPOINT_URL_S3: 'http://minio:9000' } });
    assert.deepEqual(derive({}), { rclone: {}, variables: {} });
  });

  it('prefers the first endpoint of the set', () => {
    const { rclone, variables } = derive({ ...elsewhere, endpoint: 'https://one:9001,two:9002' });
    assert.equal(rclone['ENDPOINT'], 'https://one:9001');
    assert.equal(variables['AWS_ENDPOINT_URL_S3'], 'https://one:9001');
    assert.deepEqual(derive({ ...elsewhere, endpoint: 'no endpoint' }).rclone, other);
  });

  it("follows the set's path style", () => {
    assert.deepEqual(derive({ ...amazon, path_style: 'true' }).rclone, { FORCE_PATH_STYLE: 'true' });
    assert.deepEqual(derive({ ...elsewhere, path_style: 'false' }).rclone, { ...other, FORCE_PATH_STYLE: 'false' });
  });
});

describe('S3_FIELDS', () => {
  it('never repeat a value in an error', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...S3_FIELDS),
        fc.stringMatching(/^[ \n\0]canary[a-z]{8}[\n\0\u00e9]$/),
        (field, text) => {
          assert.ok(!(check(field, text) ?? '').includes('canary'));
        },
      ),
    );
  });

  it('mark exactly the secrets as secret', () => {
    const secrets = S3_FIELDS.filter((field) => field.isSecret).map((field) => field.id);
    assert.deepEqual(secrets, ['secret_key', 'backup_password', 'session_token']);
  });
});

describe('S3_CONTRADICTING', () => {
  it('has no variable twice, and none that every set provides', () => {
    assert.equal(new Set(S3_CONTRADICTING).size, S3_CONTRADICTING.length);
    const required = S3_FIELDS.filter((field) => field.isRequired).flatMap((field) => field.variables);
    assert.ok(!S3_CONTRADICTING.some((name) => required.includes(name)));
  });

  it('has the variables of every optional field', () => {
    const own = S3_FIELDS.filter((field) => !field.isRequired && field !== PROXY);
    for (const name of own.flatMap((field) => field.variables)) {
      assert.ok(S3_CONTRADICTING.includes(name), name);
    }
  });
});
