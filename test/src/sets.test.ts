import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalName, parseName } from '../../src/names.ts';
import { FIELD_IDS, PROVIDERS } from '../../src/providers/registry.ts';
import { PROVIDER_IDS } from '../../src/providers/common-fields.ts';
import { canonicalSetName, memberName, membershipOf, missingOf, providerOf } from '../../src/sets.ts';

const UUID = '0191e1f0-7c3a-7000-8000-00000000000a';
const STORIDGE_FIELDS = ['backup_repo', 'access_key', 'secret_key', 'backup_password'];

const word = fc.oneof(
  fc.stringMatching(/^[a-z0-9_.-]{0,8}$/),
  fc.constantFrom('alt', 'aws', 'cio', 'restic', ...FIELD_IDS),
);
const anySet = fc
  .array(word, { minLength: 1, maxLength: 4 })
  .map((words) => words.join('_'))
  .filter((set) => /^[a-z0-9]/.test(set));

describe('membershipOf()', () => {
  for (const set of ['aws', 'minio', 'aws_alt', 'minio_alt']) {
    for (const field of STORIDGE_FIELDS) {
      it(`reads cio_${set}_${field}`, () => assert.deepEqual(membershipOf(`cio_${set}_${field}`), { set, field }));
    }
  }

  const members: readonly (readonly [name: string, set: string, field: string])[] = [
    ['cio_offsite_region', 'offsite', 'region'],
    ['cio_off.site-2_session_token', 'off.site-2', 'session_token'],
    ['cio_aws_backup_backup_repo', 'aws_backup', 'backup_repo'],
    ['cio_aws_backup_repo_backup_repo', 'aws_backup_repo', 'backup_repo'],
    ['cio_aws_backup_repo_access_key', 'aws_backup_repo', 'access_key'],
    ['cio_aws_secret_access_key', 'aws_secret', 'access_key'],
    ['cio_alt_backup_repo', 'alt', 'backup_repo'],
    ['cio_cio_access_key', 'cio', 'access_key'],
    ['cio_region_provider', 'region', 'provider'],
    ['cio_azure_account_key', 'azure', 'account_key'],
    ['cio_google_service_account', 'google', 'service_account'],
    ['cio_offsite_endpoint_ca', 'offsite', 'endpoint_ca'],
    ['cio_offsite_endpoint', 'offsite', 'endpoint'],
    ['cio_storage_class_storage_class', 'storage_class', 'storage_class'],
  ];
  for (const [name, set, field] of members) {
    it(`reads ${name}`, () => assert.deepEqual(membershipOf(name), { set, field }));
  }

  for (const name of [
    'aws_access_key',
    'cio_access_key',
    'cio__access_key',
    'cio_backup_repo',
    'cio_-_access_key',
    'cio_._access_key',
    'cio___access_key',
    'cio_aws',
    'cio_aws_key',
    'cio_awsaccess_key',
    'cio_aws_access_key2',
    'cio_aws_access_key_',
    'cio_aws_constructor',
    'ciox_aws_access_key',
    'abc_aws_access_key',
    `cio_${UUID}_access_key`,
    'cio_',
    '',
  ]) {
    it(`finds no set in '${name}'`, () => assert.equal(membershipOf(name), undefined));
  }
});

describe('canonicalSetName()', () => {
  it('reads alt_aws and alt_minio in the other order', () => {
    assert.equal(canonicalSetName('alt_aws'), 'aws_alt');
    assert.equal(canonicalSetName('alt_minio'), 'minio_alt');
    assert.equal(canonicalSetName('alt_aws_west'), 'aws_alt_west');
  });

  it('keeps every other name', () => {
    for (const set of [
      'aws',
      'aws_alt',
      'alt',
      'alt_offsite',
      'alt_awsome',
      'a.b-c',
      '0',
      'aws_backup_repo',
      'x_',
      'x_alt_aws',
    ]) {
      assert.equal(canonicalSetName(set), set);
    }
  });

  it('refuses what cannot name a set', () => {
    for (const text of ['', '_aws', '.aws', 'AWS', 'aws\n', 'a b', 'a/b', '*', 'caf\u00e9', UUID, UUID.toUpperCase()]) {
      assert.equal(canonicalSetName(text), undefined);
    }
  });

  it('accepts a name as long as the shortest field leaves room for', () => {
    const longest = 'a'.repeat(128 - 'cio__sse'.length);
    assert.equal(canonicalSetName(longest), longest);
    assert.equal(parseName(memberName(longest, 'sse')).length, 128);
    assert.equal(canonicalSetName(`${longest}a`), undefined);
  });

  it('relies on no field ending in another, which would make names ambiguous', () => {
    for (const field of FIELD_IDS) assert.ok(!FIELD_IDS.some((other) => other.endsWith(`_${field}`)), field);
  });

  it('returns the set to which a name built with it belongs', () => {
    fc.assert(
      fc.property(anySet, fc.constantFrom(...FIELD_IDS), (text, field) => {
        const set = canonicalSetName(text);
        assert.ok(set !== undefined);
        assert.equal(canonicalSetName(set), set);
        assert.equal(canonicalName(memberName(text, field)), memberName(set, field));
        assert.deepEqual(membershipOf(memberName(set, field)), { set, field });
      }),
    );
  });
});

describe('memberName()', () => {
  it('rebuilds the name that membershipOf() took apart', () => {
    fc.assert(
      fc.property(
        fc.tuple(anySet, word).map(([set, field]) => `cio_${set}_${field}`),
        (name) => {
          const membership = membershipOf(name);
          if (membership !== undefined) assert.equal(memberName(membership.set, membership.field), name);
        },
      ),
    );
  });
});

describe('providerOf()', () => {
  it('takes the first word if it names a provider', () => {
    assert.equal(providerOf('aws', undefined)?.id, 'aws');
    assert.equal(providerOf('minio_alt', 'aws')?.id, 'minio');
    assert.equal(providerOf('s3_x_y', undefined)?.id, 's3');
  });

  it('takes the field `provider` otherwise', () => {
    assert.equal(providerOf('offsite', 's3')?.id, 's3');
    assert.equal(providerOf('alt_aws', 'minio')?.id, 'minio');
    assert.equal(providerOf('awsome', 'minio')?.id, 'minio');
    assert.equal(providerOf('aws-2', 'minio')?.id, 'minio');
  });

  it('returns undefined if neither names a supported provider', () => {
    assert.equal(providerOf('offsite', undefined), undefined);
    for (const text of ['', 'S3', 's3\n', 'constructor', '__proto__', 'openstack'])
      assert.equal(providerOf('offsite', text), undefined);
    assert.equal(providerOf('openstack', 's3'), undefined);
  });

  it('finds the provider of every supported id', () => {
    for (const id of PROVIDER_IDS) assert.equal(providerOf(id, undefined), PROVIDERS.get(id));
  });
});

describe('missingOf()', () => {
  const aws = PROVIDERS.get('aws');

  it("returns the missing required fields, in the provider's order", () => {
    assert.deepEqual(missingOf(aws, new Set(), undefined), STORIDGE_FIELDS);
    assert.deepEqual(missingOf(aws, new Set(['secret_key', 'region']), undefined), [
      'backup_repo',
      'access_key',
      'backup_password',
    ]);
    assert.deepEqual(missingOf(aws, new Set(STORIDGE_FIELDS), undefined), []);
  });

  it("requires no keys if the set uses the machine's identity", () => {
    assert.deepEqual(missingOf(aws, new Set(['use_iam']), 'true'), ['backup_repo', 'backup_password']);
    for (const text of ['false', 'TRUE', '']) {
      assert.deepEqual(missingOf(aws, new Set(['use_iam']), text), STORIDGE_FIELDS);
    }
    assert.deepEqual(missingOf(PROVIDERS.get('azure'), new Set(['backup_repo', 'backup_password']), 'true'), [
      'account_name',
    ]);
  });

  it('returns just the provider if that is unknown', () => {
    assert.deepEqual(missingOf(undefined, new Set(STORIDGE_FIELDS), 'true'), ['provider']);
  });
});
