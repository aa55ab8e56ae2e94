import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { readS3Target } from '../../../../daemon/prober/providers/s3-target.ts';
import { jobOf } from '../harness.ts';

const read = (repository: string, rest: Record<string, string> = {}, region?: string) =>
  readS3Target(jobOf({ backup_repo: repository, ...rest }), region);

describe('readS3Target()', () => {
  const hosts: readonly (readonly [string, Record<string, string>, string, number, boolean])[] = [
    ['s3:https://s3.amazonaws.com/b-1', {}, 'b-1.s3.amazonaws.com', 443, false],
    ['s3:s3.amazonaws.com/b-1', { region: 'eu-central-1' }, 'b-1.s3.eu-central-1.amazonaws.com', 443, false],
    [
      's3:https://s3.eu-west-1.amazonaws.com/b-1',
      { region: 'us-east-2' },
      'b-1.s3.eu-west-1.amazonaws.com',
      443,
      false,
    ],
    ['s3:https://s3.amazonaws.com/b.1', {}, 's3.amazonaws.com', 443, true],
    ['s3:http://s3.amazonaws.com/b.1', {}, 'b.1.s3.amazonaws.com', 80, false],
    ['s3:https://s3.amazonaws.com/b-1', { path_style: 'true' }, 's3.amazonaws.com', 443, true],
    ['s3:https://minio.test:9000/b-1', {}, 'minio.test', 9000, true],
    ['s3:https://minio.test:9000/b-1', { path_style: 'false' }, 'b-1.minio.test', 9000, false],
    // No bucket changes the host to another one, or adds a user to the URL.
    ['s3:https://minio.test/evil.test%2F', { path_style: 'false' }, 'minio.test', 443, true],
    ['s3:https://minio.test/evil@x', { path_style: 'false' }, 'minio.test', 443, true],
    ['s3:http://minio.test/evil.test:80', { path_style: 'false' }, 'minio.test', 80, true],
    // Nor is it put before an IP address.
    ['s3:http://127.0.0.1:9000/b-1', { path_style: 'false' }, '127.0.0.1', 9000, true],
    ['s3:https://0x7f.1/b-1', { path_style: 'false' }, '127.0.0.1', 443, true],
    ['s3:http://[::1]:9000/b-1', { path_style: 'false' }, '::1', 9000, true],
    ['s3:http://[::1]:9000/b-1', {}, '::1', 9000, true],
    ['s3:http://0x7f.1/b-1', {}, '127.0.0.1', 80, true],
    ['s3:http://192.168.1.100:9001/b-1', {}, '192.168.1.100', 9001, true],
  ];
  for (const [repository, values, host, port, isPathStyle] of hosts) {
    it(`${repository} ${JSON.stringify(values)} is on ${host}:${port}`, () => {
      const target = read(repository, values);
      assert.deepEqual([target.endpoint.host, target.endpoint.port, target.isPathStyle], [host, port, isPathStyle]);
    });
  }

  it('prefers the region that the server reported to the one in the set, and signs for it', () => {
    const target = read('s3:https://s3.amazonaws.com/b-1', {}, 'ap-south-1');
    assert.deepEqual([target.region, target.endpoint.host], ['ap-south-1', 'b-1.s3.ap-south-1.amazonaws.com']);
    assert.equal(target.isRegionGiven, false);
  });

  it('blames the region for the host only if the host was made from it', () => {
    const cases: readonly (readonly [Record<string, string>, string | undefined, string | undefined])[] = [
      [{ backup_repo: 's3:https://s3.amazonaws.com/b-1' }, undefined, 'backup_repo'],
      [{ backup_repo: 's3:https://s3.amazonaws.com/b-1', region: 'us-east-1' }, undefined, 'backup_repo'],
      [{ backup_repo: 's3:https://s3.amazonaws.com/b-1', region: 'eu-wst-1' }, undefined, 'region'],
      [{ backup_repo: 's3:https://s3.eu-west-1.amazonaws.com/b-1', region: 'eu-wst-1' }, undefined, 'backup_repo'],
      [{ backup_repo: 's3:https://s3.amazonaws.com/b-1' }, 'eu-west-1', 'backup_repo'],
      [{ bucket: 'b-1' }, undefined, undefined],
      [{ bucket: 'b-1', region: 'us-east-1' }, undefined, undefined],
      [{ bucket: 'b-1', region: 'eu-wst-1' }, undefined, 'region'],
      [{ bucket: 'b-1', endpoint: 'https://s3.amazonaws.com', region: 'eu-wst-1' }, undefined, 'region'],
      [{ bucket: 'b-1', endpoint: 'https://minio.test', region: 'eu-wst-1' }, undefined, 'endpoint'],
    ];
    for (const [values, told, field] of cases) {
      const target = readS3Target({ ...jobOf({ backup_repo: '', ...values }), provider: 'aws' }, told);
      assert.equal(target.endpoint.field, field, JSON.stringify([values, told]));
    }
  });

  it('verifies certificates and refuses link-local addresses, unless the set says "true"', () => {
    for (const word of ['', 'false', 'TRUE', 'yes', ' true']) {
      const { endpoint } = read('s3:https://h.test/b', { skip_verify: word, allow_link_local: word });
      assert.deepEqual([endpoint.isVerified, endpoint.isLinkLocalAllowed], [true, false]);
    }
    const { endpoint } = read('s3:https://h.test/b', { skip_verify: 'true', allow_link_local: 'true' });
    assert.deepEqual([endpoint.isVerified, endpoint.isLinkLocalAllowed], [false, true]);
  });

  it('throws with the invalid field', () => {
    const cases: readonly (readonly [Record<string, string>, string, string])[] = [
      [{ access_key: '' }, 'missing_field', 'access_key'],
      [{ region: 'eu central' }, 'invalid_value', 'region'],
      [{ region: '../x' }, 'invalid_value', 'region'],
      [{ use_iam: 'yes' }, 'invalid_value', 'use_iam'],
      [{ proxy: 'http://user@proxy' }, 'invalid_value', 'proxy'],
    ];
    for (const [values, reason, field] of cases) {
      assert.throws(() => read('s3:https://h.test/b', values), { reason, detail: { field, subject: field } });
    }
    assert.doesNotThrow(() => read('s3:https://h.test/b', { use_iam: 'false' }));
  });

  it('throws with the invalid field of a set that has endpoint, bucket and prefix', () => {
    const parts = { backup_repo: '', endpoint: 'https://minio.test', bucket: 'b-1', prefix: 'in/it' };
    const readParts = (values: Record<string, string>) =>
      readS3Target(jobOf({ ...parts, ...values }, { provider: 'minio' }));
    for (const [values, reason, field] of [
      [{ bucket: 'b/1' }, 'invalid_value', 'bucket'],
      [{ prefix: '../x' }, 'invalid_value', 'prefix'],
      [{ endpoint: 'https://minio.test/path' }, 'invalid_value', 'endpoint'],
      [{ endpoint: '' }, 'missing_field', 'endpoint'],
    ] as const) {
      assert.throws(() => readParts(values), { reason, detail: { field, subject: field } }, JSON.stringify(values));
    }
    const { bucket, prefix, endpoint } = readParts({ endpoint: 'https://minio.test, https://other.test' });
    assert.deepEqual([bucket, prefix, endpoint.host], ['b-1', 'in/it/', 'minio.test']);
    assert.equal(readParts({ prefix: '' }).prefix, '');
  });
});
