import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { PrimarySet } from '../../src/mistakes.ts';
import { findMistakes } from '../../src/mistakes.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import { FINDINGS_MAX, SUBJECT_LENGTH_MAX } from '../../src/limits.ts';
import { describeFinding } from '../../src/validation.ts';
import { withinCpuTime } from '../support/cpu-time.ts';
import { anyText } from './any-text.ts';

/** The key pair that Amazon's documentation uses as its example. */
const ACCESS_KEY = 'AKIAIOSFODNN7EXAMPLE';
const SECRET_KEY = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY';

type Values = Readonly<Record<string, string>>;

const AMAZON: Values = {
  backup_repo: 's3:https://s3.amazonaws.com/backup-123',
  access_key: ACCESS_KEY,
  secret_key: SECRET_KEY,
  backup_password: 'password',
};
const MINIO: Values = {
  backup_repo: 's3:http://192.168.1.100:9001/cio-backup-bucket',
  access_key: 'minio',
  secret_key: 'secret',
  backup_password: 'mysecret',
};

/** Returns the findings for a set, each as `state reason field`. */
function found(values: Values, provider = 'aws', primary?: PrimarySet): string[] {
  const findings = findMistakes('offsite', PROVIDERS.get(provider), new Map(Object.entries(values)), primary);
  return findings.map(({ check, state, reason, field }) => {
    assert.equal(check, 'shape');
    return `${state} ${reason} ${field}`;
  });
}

const setAt = (repository: string): Values => ({ ...AMAZON, backup_repo: repository });

describe('findMistakes() with a value that is longer than any', () => {
  it('reports it, and nothing else parses it', () => {
    const endpoint = 'a,'.repeat(500_000);
    withinCpuTime(100, () => assert.deepEqual(found({ ...AMAZON, endpoint }), ['failed invalid_value endpoint']));
    assert.deepEqual(found(setAt(`s3:https://h/b${'/a'.repeat(500_000)}`)), ['failed invalid_value backup_repo']);
  });
});

describe('findMistakes()', () => {
  const good: readonly (readonly [what: string, provider: string, values: Values])[] = [
    ['a set of Amazon', 'aws', AMAZON],
    [
      'temporary keys',
      'aws',
      { ...AMAZON, access_key: `ASIA${ACCESS_KEY.slice(4)}`, session_token: 'IQoJb3JpZ2luX2Vj' },
    ],
    ['a set of MinIO as documented', 'minio', MINIO],
    ['the keys of a fresh MinIO', 'minio', { ...MINIO, access_key: 'minioadmin', secret_key: 'minioadmin' }],
    [
      'generated keys of MinIO',
      's3',
      { ...MINIO, access_key: 'Q3AM3UQ867SPQQA43P2F', secret_key: 'zuf+tfteSlswRu7BJ86wekitnifILbZam1KYY3TG' },
    ],
    [
      'keys that are digests',
      's3',
      {
        ...AMAZON,
        backup_repo: 's3:https://s3.example.org/b',
        access_key: '0123456789abcdef'.repeat(2),
        secret_key: '0123456789abcdef'.repeat(4),
      },
    ],
    [
      'an access key that is a digest of 40 digits',
      's3',
      { ...AMAZON, backup_repo: 's3:https://s3.example.org/b', access_key: '0123456789abcdef0123456789abcdef01234567' },
    ],
    [
      'a secret key of another length',
      's3',
      { ...AMAZON, backup_repo: 's3:https://s3.example.org/b', access_key: SECRET_KEY.slice(1) },
    ],
    ['a password with spaces inside', 'aws', { ...AMAZON, backup_password: 'correct horse battery' }],
    ['a token of several lines that is none of its fields', 'aws', { ...AMAZON, other: ' x ' }],
    ['the provider named', 's3', { ...MINIO, provider: 's3' }],
  ];
  for (const [what, provider, values] of good) {
    it(`finds nothing in ${what}`, () => assert.deepEqual(found(values, provider), []));
  }

  const repositories: readonly (readonly [repository: string, ...found: string[]])[] = [
    ['s3:https://s3.eu-central-1.amazonaws.com/bucket/prefix'],
    ['s3:s3.amazonaws.com/bucket'],
    ['s3://s3.amazonaws.com/bucket'],
    ['s3:https://s3.dualstack.us-east-1.amazonaws.com/bucket'],
    ['s3:https://bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com/backup'],
    ['s3:https://minio.s3.example.org/bucket'],
    ['s3:http://minio:9000/bucket'],
    ['s3://minio:9000/bucket'],
    ['s3://localhost/bucket'],
    ['s3://[::1]/bucket'],
    ['s3:http://[fd00::1]:9000/bucket'],
    // Without a bucket.
    ['s3:https://s3.amazonaws.com', 'failed repository_without_bucket backup_repo'],
    ['s3:https://s3.amazonaws.com/', 'failed repository_without_bucket backup_repo'],
    ['s3:https://s3.amazonaws.com//bucket', 'failed repository_without_bucket backup_repo'],
    ['s3:s3.amazonaws.com', 'failed repository_without_bucket backup_repo'],
    ['s3://backup-123', 'failed repository_without_bucket backup_repo'],
    ['s3:backup-123/', 'failed repository_without_bucket backup_repo'],
    // With the bucket in the host name.
    ['s3:https://bucket.s3.amazonaws.com', 'failed repository_virtual_host backup_repo'],
    ['s3:https://bucket.s3.amazonaws.com/', 'failed repository_virtual_host backup_repo'],
    ['s3:https://bucket.s3.amazonaws.com/prefix', 'failed repository_virtual_host backup_repo'],
    ['s3:https://my.bucket.s3.eu-west-1.amazonaws.com:443/prefix', 'failed repository_virtual_host backup_repo'],
    ['s3:https://bucket.s3-eu-west-1.amazonaws.com/prefix', 'failed repository_virtual_host backup_repo'],
    ['s3:bucket.s3.cn-north-1.amazonaws.com.cn/prefix', 'failed repository_virtual_host backup_repo'],
    ['s3:https://bucket.s3.us-west-004.backblazeb2.com/x', 'failed repository_virtual_host backup_repo'],
    ['s3:https://bucket.s3.wasabisys.com/x', 'failed repository_virtual_host backup_repo'],
    ['s3:https://bucket.nyc3.digitaloceanspaces.com/x', 'failed repository_virtual_host backup_repo'],
    ['s3:https://my.bucket.fsn1.your-objectstorage.com/x', 'failed repository_virtual_host backup_repo'],
    ['s3:https://bucket.eu-central-1.linodeobjects.com/x', 'failed repository_virtual_host backup_repo'],
    ['s3:https://bucket.s3.gra.io.cloud.ovh.net/x', 'failed repository_virtual_host backup_repo'],
    ['s3:https://nyc3.digitaloceanspaces.com/bucket'],
    ['s3:https://fsn1.your-objectstorage.com/bucket'],
    ['s3:https://eu-central-1.linodeobjects.com/bucket'],
    ['s3:https://s3.gra.io.cloud.ovh.net/bucket'],
    // In the form of the AWS tools.
    ['s3://backup-123/prefix', 'warning repository_bucket_as_host backup_repo'],
    // Without TLS.
    ['s3:http://s3.amazonaws.com/bucket', 'warning plain_http backup_repo'],
    ['s3:http://203.0.113.7:9000/bucket', 'warning plain_http backup_repo'],
    ['s3:http://s3.example.org', 'warning plain_http backup_repo', 'failed repository_without_bucket backup_repo'],
    ['s3:http://b.s3.amazonaws.com/', 'warning plain_http backup_repo', 'failed repository_virtual_host backup_repo'],
    // Forms that restic refuses, or reads differently.
    ['https://s3.amazonaws.com/bucket', 'failed invalid_value backup_repo'],
    ['/srv/backup', 'failed invalid_value backup_repo'],
    ['bucket', 'failed invalid_value backup_repo'],
    ['s3:', 'failed invalid_value backup_repo'],
    ['s3:///bucket', 'failed invalid_value backup_repo'],
    ['s3:https:/s3.amazonaws.com/bucket', 'failed invalid_value backup_repo'],
    ['s3:https://host/bucket?region=x', 'failed invalid_value backup_repo'],
    [`s3:https://${ACCESS_KEY}:${SECRET_KEY.replaceAll('/', '-')}@host/bucket`, 'failed invalid_value backup_repo'],
    [`s3:https://${'a.'.repeat(200)}example/bucket`, 'failed invalid_value backup_repo'],
    // With white space, alone and along with other mistakes.
    [' s3:https://s3.amazonaws.com/bucket', 'failed surrounding_space backup_repo'],
    ['s3:https://s3.amazonaws.com/bucket\r\n', 'failed surrounding_space backup_repo'],
    [
      's3:https://s3.amazonaws.com/ ',
      'failed surrounding_space backup_repo',
      'failed repository_without_bucket backup_repo',
    ],
    ['\ts3:http://s3.example.org/b', 'failed surrounding_space backup_repo', 'warning plain_http backup_repo'],
    [' bucket', 'failed surrounding_space backup_repo', 'failed invalid_value backup_repo'],
  ];
  for (const [repository, ...expected] of repositories) {
    const name = JSON.stringify(repository.slice(0, 70));
    it(`finds ${expected.join(', ') || 'nothing'} in ${name}`, () =>
      assert.deepEqual(found(setAt(repository)), expected));
  }

  describe('for keys', () => {
    const swapped = { ...AMAZON, access_key: SECRET_KEY, secret_key: ACCESS_KEY };
    const elsewhere = { backup_repo: 's3:https://s3.example.org/bucket' };
    const sets: readonly (readonly [what: string, values: Values, ...found: string[]])[] = [
      ['swapped at Amazon', swapped, 'failed keys_swapped access_key'],
      ['swapped elsewhere', { ...swapped, ...elsewhere }, 'warning keys_swapped access_key'],
      [
        'swapped, at a repository without a bucket',
        { ...swapped, backup_repo: 's3:s3.amazonaws.com' },
        'failed repository_without_bucket backup_repo',
        'failed keys_swapped access_key',
      ],
      ['an access key as both', { ...AMAZON, secret_key: ACCESS_KEY }, 'failed invalid_value secret_key'],
      ['a secret key as both', { ...AMAZON, access_key: SECRET_KEY }, 'failed secret_in_access_key access_key'],
      [
        'a secret key as both, elsewhere',
        { ...AMAZON, ...elsewhere, access_key: SECRET_KEY },
        'warning secret_in_access_key access_key',
      ],
      [
        'keys as MinIO makes them, swapped',
        { ...MINIO, access_key: SECRET_KEY, secret_key: 'Q3AM3UQ867SPQQA43P2F' },
        'warning keys_swapped access_key',
      ],
      [
        'an access key of AWS as the secret of MinIO',
        { ...MINIO, secret_key: ACCESS_KEY },
        'warning keys_swapped access_key',
      ],
      [
        'a line end behind the access key',
        { ...AMAZON, access_key: `${ACCESS_KEY}\n` },
        'failed surrounding_space access_key',
      ],
      ['a space within the secret key', { ...AMAZON, secret_key: 'a b' }, 'failed invalid_value secret_key'],
      [
        'an umlaut, and a space behind',
        { ...AMAZON, secret_key: '\u00e4 ' },
        'failed surrounding_space secret_key',
        'failed invalid_value secret_key',
      ],
      [
        'nothing but a space',
        { ...AMAZON, access_key: ' ' },
        'failed surrounding_space access_key',
        'failed invalid_value access_key',
      ],
      ['a token with a line end', { ...AMAZON, session_token: 'token\n' }, 'failed surrounding_space session_token'],
    ];
    for (const [what, values, ...expected] of sets) {
      it(`finds ${what}`, () => assert.deepEqual(found(values), expected));
    }
  });

  describe('for the password', () => {
    // restic takes RESTIC_PASSWORD as it is, white space included.
    for (const space of [' ', '\t', '\r\n', '\u0085', '\u00a0', '\u3000']) {
      it(`warns of ${JSON.stringify(space)} at either end`, () => {
        const expected = ['warning surrounding_space backup_password'];
        assert.deepEqual(found({ ...AMAZON, backup_password: `${space}password` }), expected);
        assert.deepEqual(found({ ...AMAZON, backup_password: `password${space}` }), expected);
      });
    }

    it('warns of a byte order mark before it, and of none elsewhere', () => {
      const expected = ['warning byte_order_mark backup_password'];
      assert.deepEqual(found({ ...AMAZON, backup_password: '\ufeffpassword' }), expected);
      assert.deepEqual(found({ ...AMAZON, backup_password: 'pass\ufeffword\ufeff' }), []);
    });

    it('recognises all white space of Unicode', () => {
      for (let code = 1; code < 0x4000; code += 1) {
        const character = String.fromCodePoint(code);
        const isFound = found({ ...AMAZON, backup_password: `${character}password` }).length > 0;
        assert.equal(isFound, /\p{White_Space}/u.test(character), `U+${code.toString(16)}`);
      }
    });

    it('accepts characters that Go does not take for white space', () =>
      assert.deepEqual(found({ ...AMAZON, backup_password: '\u200bpassword\ufeff' }), []));

    it('refuses a NUL character', () =>
      assert.deepEqual(found({ ...AMAZON, backup_password: 'pass\0word' }), ['failed invalid_value backup_password']));

    it('warns if it equals the secret key', () =>
      assert.deepEqual(found({ ...AMAZON, backup_password: SECRET_KEY }), [
        'warning password_is_secret_key backup_password',
      ]));
  });

  it('recognises swapped keys in a set with an endpoint instead of a repository', () => {
    const keys = { access_key: SECRET_KEY, secret_key: ACCESS_KEY, backup_password: 'password' };
    const missing = 'failed missing_field backup_repo';
    assert.deepEqual(found(keys), [missing, 'failed keys_swapped access_key']);
    assert.deepEqual(found({ ...keys, endpoint: 's3.eu-west-1.amazonaws.com' }, 's3'), [
      missing,
      'failed keys_swapped access_key',
    ]);
    assert.deepEqual(found({ ...keys, endpoint: 'minio:9000' }, 's3'), [missing, 'warning keys_swapped access_key']);
  });

  it('warns of a public endpoint without TLS in a set without a repository', () => {
    const keys = { access_key: 'a', secret_key: 'b', backup_password: 'password' };
    const missing = 'failed missing_field backup_repo';
    for (const endpoint of ['http://s3.example.org', 'https://s3.example.org,http://203.0.113.7:9000']) {
      assert.deepEqual(found({ ...keys, endpoint }, 's3'), [missing, 'warning plain_http endpoint']);
    }
    for (const endpoint of [
      'http://10.0.0.1:9000,http://minio:9000',
      's3.example.org',
      'http://minio.minio.svc:9000',
    ]) {
      assert.deepEqual(found({ ...keys, endpoint }, 's3'), [missing]);
    }
  });

  it("warns of a bucket and a prefix that differ from the repository's, for every provider", () => {
    const key = Buffer.alloc(64).toString('base64');
    const azure = { backup_repo: 'azure:one:/a/b', account_name: 'account', account_key: key, backup_password: 'x' };
    const differs = ['warning differs_from_repository bucket', 'warning differs_from_repository prefix'];
    assert.deepEqual(found({ ...azure, bucket: 'two', prefix: 'c' }, 'azure'), differs);
    assert.deepEqual(found({ ...azure, bucket: 'one', prefix: 'a/b' }, 'azure'), []);
    const google = { backup_repo: 'gs:one:/a', use_iam: 'true', project_id: 'project-1', backup_password: 'x' };
    assert.deepEqual(found({ ...google, bucket: 'two', prefix: 'c' }, 'google'), differs);
    assert.deepEqual(found({ ...google, bucket: 'one' }, 'google'), []);
  });

  it('names the missing fields', () => {
    assert.deepEqual(found({}), [
      'failed missing_field backup_repo',
      'failed missing_field access_key',
      'failed missing_field secret_key',
      'failed missing_field backup_password',
    ]);
    const [finding] = findMistakes('aws', PROVIDERS.get('aws'), new Map());
    assert.equal(finding && describeFinding(finding).text, 'the field backup_repo is missing');
  });

  it('reports an unknown provider', () => {
    assert.deepEqual(found(AMAZON, 'none'), ['failed unknown_provider provider']);
    assert.deepEqual(found({ ...AMAZON, provider: 'dropbox' }), ['failed invalid_value provider']);
  });

  describe('for an alternate set', () => {
    const primaryAt = (repository: string): PrimarySet => ({
      set: 'aws',
      values: new Map([['backup_repo', repository]]),
    });
    const same: readonly (readonly [string, string])[] = [
      ['s3:https://s3.example.org/bucket', 's3:https://s3.example.org/bucket'],
      ['s3:https://s3.example.org/bucket', 's3:S3.Example.org:443/bucket/'],
      ['s3:https://s3.example.org/bucket/a', 's3://s3.example.org./bucket//a/'.replace('//a', '/a')],
      ['s3:http://10.0.0.1/bucket', 's3:http://10.0.0.1:80/bucket'],
    ];
    for (const [alternate, primary] of same) {
      it(`warns of ${alternate} next to ${primary}`, () => {
        assert.deepEqual(found(setAt(alternate), 'aws', primaryAt(primary)), ['warning same_as_primary backup_repo']);
      });
    }

    const others = [
      's3:https://s3.example.org/other',
      's3:https://s3.example.org/bucket/a',
      's3:https://s3.example.org:9000/bucket',
      's3:https://s3.example.com/bucket',
    ];
    for (const primary of others) {
      it(`accepts another place: ${primary}`, () =>
        assert.deepEqual(found(setAt('s3:https://s3.example.org/bucket'), 'aws', primaryAt(primary)), []));
    }

    it('names the primary set', () => {
      const values = new Map(Object.entries(AMAZON));
      const [finding] = findMistakes('aws_alt', PROVIDERS.get('aws'), values, { set: 'aws', values });
      assert.equal(finding?.subject, 'aws');
    });

    it('does not compare a set with itself, nor sets without a repository', () => {
      const values = new Map(Object.entries(AMAZON));
      assert.deepEqual(findMistakes('aws', PROVIDERS.get('aws'), values, { set: 'aws', values }), []);
      assert.deepEqual(found(AMAZON, 'aws', { set: 'aws', values: new Map() }), []);
      const none = found({ ...AMAZON, backup_repo: 'x' }, 'aws', { set: 'aws', values: new Map() });
      assert.deepEqual(none, ['failed invalid_value backup_repo']);
    });
  });

  it('never puts a value into a finding, and keeps to the limits of findings', () => {
    // Long enough not to occur by chance.
    const canary = fc.stringMatching(/^[a-zA-Z0-9/+]{20}$/).map((text) => `Canary${text}`);
    const secret = fc.oneof(
      canary,
      canary.map((text) => text.padEnd(40, 'x')),
      canary.map((text) => ` ${text}\n`),
      fc.tuple(canary, anyText).map(([text, more]) => text + more),
      fc.constant(ACCESS_KEY),
      fc.constant(SECRET_KEY),
    );
    const repository = fc.oneof(
      secret,
      secret.map((text) => `s3:${text}`),
      secret.map((text) => `s3://${text}`),
      secret.map((text) => `s3://${text}/prefix`),
      secret.map((text) => `s3:https://s3.amazonaws.com/${text}`),
      secret.map((text) => `s3:https://user:${text}@s3.amazonaws.com/bucket`),
      secret.map((text) => `s3:http://s3.example.org/bucket?key=${text}`),
    );
    const values = fc.record(
      {
        backup_repo: repository,
        access_key: secret,
        secret_key: secret,
        backup_password: secret,
        session_token: secret,
        region: secret,
      },
      { requiredKeys: [] },
    );
    const provider = fc.constantFrom('aws', 'minio', 's3', 'none');
    fc.assert(
      fc.property(values, values, provider, (values, others, provider) => {
        const primary = { set: 'primary', values: new Map(Object.entries(others)) };
        const findings = findMistakes('set', PROVIDERS.get(provider), new Map(Object.entries(values)), primary);
        assert.ok(findings.length <= FINDINGS_MAX);
        for (const finding of findings) {
          assert.match(finding.subject ?? '', /^[\x20-\x7e]*$/);
          assert.ok((finding.subject ?? '').length <= SUBJECT_LENGTH_MAX);
          const text = JSON.stringify([finding, describeFinding(finding)]);
          for (const value of [...Object.values(values), ...Object.values(others)]) assert.ok(!text.includes(value));
          assert.doesNotMatch(text, /canary/i);
          for (const value of Object.values(values))
            assert.ok(!text.toLowerCase().includes(value.trim().toLowerCase()));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('checks a long value in bounded time', () => {
    const long = 1024 * 1024;
    const texts = [
      `x${' '.repeat(long)}x`,
      ' '.repeat(long),
      `s3:https://${'.s3.'.repeat(long / 4)}x`,
      `s3:${'a'.repeat(long)}!/b`,
      `s3:http://${'a.s3.'.repeat(long / 8)}amazonaws.co`,
    ];
    withinCpuTime(5000, () => {
      for (const text of texts) {
        found({ backup_repo: text, access_key: text, secret_key: text, backup_password: text, session_token: text });
      }
    });
  });

  describe('for fields that repeat parts of the repository', () => {
    const at = (rest: Values): string[] => found({ ...MINIO, ...rest }, 'minio');
    const agreeing: readonly Values[] = [
      { endpoint: '192.168.1.100:9001', bucket: 'cio-backup-bucket' },
      { endpoint: 'minio:9001, http://192.168.1.100:9001' },
      { endpoint: 'https://minio:9000,http://192.168.1.100:9001' },
      { backup_repo: 's3:https://minio/bucket/a/b', prefix: 'a/b', endpoint: 'https://MINIO:443' },
    ];
    for (const values of agreeing) {
      it(`finds nothing in ${JSON.stringify(values)}`, () =>
        assert.deepEqual(
          at(values).filter((text) => text.includes('differs')),
          [],
        ));
    }

    for (const values of [{ bucket: 'other' }, { prefix: 'other' }, { endpoint: 'http://minio:9001' }]) {
      const [field] = Object.keys(values);
      it(`warns of a ${field} that differs from the repository's`, () =>
        assert.deepEqual(at(values), [`warning differs_from_repository ${field}`]));
    }
  });

  describe('for sets of other providers', () => {
    const azure: Values = {
      backup_repo: 'azure:backup:/host',
      account_name: 'account',
      account_key: 'a2V5a2V5',
      backup_password: 'password',
    };

    it('finds nothing in a correct set, and each mistake in others', () => {
      assert.deepEqual(found(azure, 'azure'), []);
      const wrong: readonly (readonly [Values, string])[] = [
        [{ backup_repo: 's3:https://s3.amazonaws.com/bucket' }, 'failed invalid_value backup_repo'],
        [{ backup_repo: 'azure:backup' }, 'failed invalid_value backup_repo'],
        [{ account_name: 'Account' }, 'failed invalid_value account_name'],
        [{ account_key: 'a2V5a2V5\n' }, 'failed surrounding_space account_key'],
        [{ backup_password: 'a2V5a2V5' }, 'warning password_is_secret_key backup_password'],
        [{ skip_verify: 'yes' }, 'failed invalid_value skip_verify'],
      ];
      for (const [rest, expected] of wrong) assert.deepEqual(found({ ...azure, ...rest }, 'azure'), [expected]);
      assert.deepEqual(found({ ...AMAZON, backup_repo: 'azure:backup:/' }), ['failed invalid_value backup_repo']);
    });

    it("requires no keys of a set that uses the machine's identity", () => {
      const { account_key: _key, ...keyless } = azure;
      assert.deepEqual(found(keyless, 'azure'), ['failed missing_field account_key']);
      assert.deepEqual(found({ ...keyless, use_iam: 'true' }, 'azure'), []);
    });

    it('distinguishes the same container of different accounts', () => {
      const primary = (rest: Values): PrimarySet => ({
        set: 'azure',
        values: new Map(Object.entries({ ...azure, ...rest })),
      });
      const same = ['warning same_as_primary backup_repo'];
      assert.deepEqual(found({ ...azure, backup_repo: 'azure:backup:host/' }, 'azure', primary({})), same);
      assert.deepEqual(found(azure, 'azure', primary({ account_name: 'other' })), []);
      assert.deepEqual(found(azure, 'azure', primary({ backup_repo: 'azure:backup:/other' })), []);
    });
  });
});
