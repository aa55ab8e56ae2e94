import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { parseEnv } from 'node:util';
import fc from 'fast-check';
import { isCredentialError } from '../../../src/errors.ts';
import { awsKeysOf, formatAws, formatAwsProfiles, formatVelero } from '../../../src/forms/aws.ts';
import { formatContainerCredentials, formatCredentialProcess } from '../../../src/forms/aws-process.ts';
import { formatDotenv } from '../../../src/forms/dotenv.ts';
import { formatKopia } from '../../../src/forms/kopia.ts';
import { toObject } from '../../../src/forms/object.ts';
import { formatRclone } from '../../../src/forms/rclone.ts';
import { formatRestic } from '../../../src/forms/restic.ts';
import { refuseNul, requireComplete, type SetContent } from '../../../src/forms/set-content.ts';
import { quoteIfNeeded } from '../../../src/forms/shell.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';

const VALUES = {
  aws: {
    backup_repo: 's3:https://s3.amazonaws.com/backup-123/host-1',
    access_key: 'AK',
    secret_key: 'SK',
    backup_password: 'PW',
  },
  azure: { backup_repo: 'azure:backup:/host-1', account_name: 'account', account_key: 'AAAA', backup_password: 'PW' },
  google: {
    backup_repo: 'gs:backup:/host-1',
    project_id: 'project',
    service_account: '{\n  "type": "service_account"\n}',
    backup_password: 'PW',
  },
} as const;

/** A complete set, with other values where they are given, and without those that are undefined. */
function contentOf(provider: keyof typeof VALUES, more: Readonly<Record<string, string | undefined>> = {}): SetContent {
  const values = Object.entries({ ...VALUES[provider], ...more }).filter(([, value]) => value !== undefined);
  return { set: provider, provider: PROVIDERS.get(provider), values: new Map(values as [string, string][]) };
}

const isInvalid = (error: unknown): boolean => isCredentialError(error, 'InvalidValue');
const misses =
  (...missing: readonly string[]) =>
  (error: unknown): boolean =>
    isCredentialError(error, 'Incomplete') && error.fields.missing.join() === missing.join();

describe('requireComplete()', () => {
  it('names what is missing, but for what can be done without', () => {
    assert.equal(requireComplete(contentOf('aws')).id, 'aws');
    const portworx = contentOf('aws', { backup_repo: undefined, backup_password: undefined });
    assert.throws(() => requireComplete(portworx), misses('backup_repo', 'backup_password'));
    assert.equal(requireComplete(portworx, ['backup_repo', 'backup_password']).id, 'aws');
    assert.throws(() => requireComplete({ ...portworx, provider: undefined }), misses('provider'));
  });
});

describe('refuseNul()', () => {
  it('refuses what a variable would cut short', () => {
    assert.throws(() => refuseNul(contentOf('aws', { backup_password: 'a\0b' })), isInvalid);
    refuseNul(contentOf('aws'));
  });
});

describe('formatDotenv()', () => {
  it('writes plainly what every reader takes plainly, docker run included', () => {
    const { text, quoted } = formatDotenv(
      new Map([
        ['A', 's3:https://host/b_c-d.e,f=@%+'],
        ['B', 'x'],
      ]),
    );
    assert.equal(text, 'A=s3:https://host/b_c-d.e,f=@%+\nB=x\n');
    assert.deepEqual(quoted, []);
  });

  it('is read alike by Node and by a shell, but for the values of which it says otherwise', () => {
    const unit = fc.constantFrom('a', ' ', "'", '"', '$', '#', '\n', '\r', '`', '=', 'ü', '{', '}', '\\', '(');
    const secrets = fc.sample(fc.string({ unit, minLength: 1, maxLength: 6 }), { numRuns: 2000, seed: 1 });
    const variables = new Map(secrets.map((secret, index) => [`V${index}`, secret]));
    const { text, misread } = formatDotenv(variables);
    const words = [...variables.keys()].map((name) => `"$${name}"`).join(' ');
    const script = `eval "$1"; printf '%s\\0' ${words}`;
    const byShell = execFileSync('/bin/sh', ['-c', script, 'sh', text], { encoding: 'utf8' }).split('\0');
    for (const [index, secret] of secrets.entries()) {
      const readers = misread.get(`V${index}`) ?? [];
      // One by one: what it misreads can reach into the next line.
      const byNode = parseEnv(formatDotenv(new Map([['A', secret]])).text);
      if (!readers.includes('Node')) assert.deepEqual({ ...byNode }, { A: secret });
      if (!readers.includes('sh and systemd')) assert.equal(byShell[index], secret);
    }
  });

  it('says which variables have quotes, and whom it reaches as another value', () => {
    for (const [value, quoted, readers] of [
      ['x', [], []],
      ['$HOME', ['A'], []],
      ['', ['A'], []],
      ["it's", ['A'], []],
      ["it's\ntwo", ['A'], []],
      ['C:\\a `b` "c"', ['A'], []],
      ['a${B}', ['A'], ['python-dotenv']],
      ['it\'s "', ['A'], ['Node']],
      ['a\\\\b', ['A'], ['Node']],
      ['a\\', ['A'], ['Node']],
      ["it's $5", ['A'], ['Node', 'python-dotenv']],
      ["it's `", ['A'], ['Node', 'python-dotenv', 'sh and systemd']],
      ['a\r', ['A'], ['Node', 'sh and systemd']],
    ] as const) {
      const file = formatDotenv(new Map([['A', value]]));
      assert.deepEqual([file.quoted, file.misread.get('A') ?? []], [quoted, readers], value);
    }
  });

  it('escapes as Compose does where a single quote or a backslash is in the way', () => {
    assert.equal(formatDotenv(new Map([['A', 'it\'s "$5"\\\n']])).text, 'A="it\'s \\"\\$5\\"\\\\\n"\n');
  });

  it('has no command in it for a shell', () => {
    assert.equal(formatDotenv(new Map([['A', 'a`id`b']])).text, "A='a`id`b'\n");
    assert.equal(formatDotenv(new Map([['A', "it's `id`5\\`"]])).text, 'A="it\'s \\0140id\\01405\\\\\\0140"\n');
    const secret = fc.string({ unit: fc.constantFrom("'", '`', '$', '(', ')', '"', '\\', 'a'), minLength: 1 });
    fc.assert(
      fc.property(secret, (text) => {
        const quoted = formatDotenv(new Map([['A', text]])).text.slice('A='.length, -1);
        if (quoted.startsWith('"')) assert.doesNotMatch(quoted, /`|(?<!\\)(?:\\\\)*\$/);
        else assert.match(quoted, /^'[^']*'$|^\w+$/);
      }),
    );
  });
});

describe('quoteIfNeeded()', () => {
  it('leaves a plain word as it is', () => {
    assert.equal(quoteIfNeeded('--endpoint=host:9000'), '--endpoint=host:9000');
    assert.equal(quoteIfNeeded("--bucket=a'$b"), "'--bucket=a'\\''$b'");
  });
});

describe('formatRclone()', () => {
  it('is a section called like the set', () => {
    assert.equal(
      formatRclone(contentOf('aws', { region: 'eu-central-1' })),
      '[aws]\ntype = s3\nprovider = AWS\naccess_key_id = AK\nsecret_access_key = SK\nregion = eu-central-1\n',
    );
  });

  it('needs no repository, and no password', () => {
    assert.match(
      formatRclone(contentOf('azure', { backup_repo: undefined, backup_password: undefined })),
      /^key = AAAA$/m,
    );
  });

  it('writes a service account in one line', () => {
    assert.match(formatRclone(contentOf('google')), /^service_account_credentials = \{"type":"service_account"\}$/m);
  });

  it('refuses what a line of the file would end, or cut', () => {
    for (const value of ['a\nb', 'a\rb', ' a', 'a ', 'a\0b', '`a"""b', '"""a`b']) {
      assert.throws(() => formatRclone(contentOf('aws', { secret_key: value })), isInvalid, JSON.stringify(value));
    }
  });
});

describe('formatRestic()', () => {
  it('has nothing of rclone in it', () => {
    const text = formatRestic(contentOf('aws'));
    assert.match(text, /^RESTIC_PASSWORD="PW"$/m);
    assert.doesNotMatch(text, /RCLONE/);
  });

  it('names what restic takes from a file only', () => {
    const google = formatRestic(contentOf('google', { endpoint_ca: 'PEM' }));
    assert.match(google, /^# GOOGLE_APPLICATION_CREDENTIALS= .*: cio credential get cio_google_service_account$/m);
    assert.match(google, /^# RESTIC_CACERT= .*: cio credential get cio_google_endpoint_ca$/m);
    assert.doesNotMatch(google, /service_account"|PEM/);
  });

  it('needs all that restic needs', () => {
    assert.throws(() => formatRestic(contentOf('aws', { backup_password: undefined })), misses('backup_password'));
  });
});

describe('formatKopia()', () => {
  it('has the command without a secret, and the secrets as variables', () => {
    const [command, ...variables] = formatKopia(
      contentOf('aws', { backup_repo: 's3:http://127.0.0.1:9000/b/p/q', session_token: 'ST', skip_verify: 'true' }),
    ).split('\n');
    assert.equal(
      command,
      '# kopia repository connect s3 --bucket=b --prefix=p/q/ --endpoint=127.0.0.1:9000 --disable-tls --disable-tls-verification',
    );
    assert.deepEqual(variables, [
      'AWS_ACCESS_KEY_ID="AK"',
      'AWS_SECRET_ACCESS_KEY="SK"',
      'AWS_SESSION_TOKEN="ST"',
      'KOPIA_PASSWORD="PW"',
      '',
    ]);
  });

  it('takes bucket and prefix of a set without a repository', () => {
    const content = contentOf('aws', { backup_repo: undefined, bucket: "o'b", prefix: 'x' });
    assert.match(formatKopia(content), /^# kopia repository connect s3 '--bucket=o'\\''b' --prefix=x\/\n/);
    assert.throws(() => formatKopia(contentOf('aws', { backup_repo: undefined })), misses('backup_repo'));
  });

  it('knows the other providers', () => {
    assert.equal(
      formatKopia(contentOf('azure', { endpoint_suffix: 'core.usgovcloudapi.net' })),
      '# kopia repository connect azure --container=backup --prefix=host-1/ --storage-account=account ' +
        '--storage-domain=blob.core.usgovcloudapi.net\nAZURE_STORAGE_KEY="AAAA"\nKOPIA_PASSWORD="PW"\n',
    );
    assert.equal(
      formatKopia(contentOf('google')),
      '# kopia repository connect gcs --bucket=backup --prefix=host-1/ --credentials-file=SERVICE-ACCOUNT-FILE\n' +
        'KOPIA_PASSWORD="PW"\n',
    );
  });
});

describe('formatAws() and formatVelero()', () => {
  it('are the shared credentials file, with and without region', () => {
    const content = contentOf('aws', { region: 'eu-central-1' });
    assert.equal(
      formatAws(content),
      '[default]\naws_access_key_id = AK\naws_secret_access_key = SK\nregion = eu-central-1\n',
    );
    assert.equal(formatVelero(content), '[default]\naws_access_key_id=AK\naws_secret_access_key=SK\n');
  });

  it('keep a key with an equals sign as it is', () => {
    assert.match(formatVelero(contentOf('aws', { secret_key: 'a=b==' })) ?? '', /^aws_secret_access_key=a=b==$/m);
  });

  it('have what Velero takes for the other providers', () => {
    assert.equal(formatVelero(contentOf('google')), `${VALUES.google.service_account}\n`);
    assert.equal(
      formatVelero(contentOf('azure')),
      'AZURE_STORAGE_ACCOUNT_ACCESS_KEY=AAAA\nAZURE_CLOUD_NAME=AzurePublicCloud\n',
    );
    assert.equal(
      formatVelero(contentOf('azure', { endpoint_suffix: 'stack.example' })),
      'AZURE_STORAGE_ACCOUNT_ACCESS_KEY=AAAA\n',
    );
  });

  it('are not there for a set without such keys', () => {
    assert.equal(formatAws(contentOf('azure')), undefined);
    assert.equal(formatAws(contentOf('aws', { use_iam: 'true' })), undefined);
    assert.throws(() => formatAws(contentOf('aws', { secret_key: 'a b' })), isInvalid);
  });
});

describe('formatAwsProfiles()', () => {
  it('says region and server where the AWS tools look for them', () => {
    const text = formatAwsProfiles(contentOf('aws', { backup_repo: 's3:http://host:9000/b', region: 'r' }), [
      '/usr/bin/cio',
      'x',
    ]);
    assert.deepEqual(
      text.split('\n').filter((line) => !line.startsWith('#')),
      [
        '[profile aws]',
        'credential_process = /usr/bin/cio x',
        'region = r',
        'endpoint_url = http://host:9000',
        '',
        '[aws]',
        'credential_process = /usr/bin/cio x',
        '',
      ],
    );
  });
});

describe('the documents of AWS', () => {
  const keys = { accessKeyId: 'AK', secretAccessKey: 'SK', sessionToken: undefined };
  it('end at a time without a fraction, and have a token as text where one must be', () => {
    assert.deepEqual(JSON.parse(formatCredentialProcess(keys, 1_500)), {
      Version: 1,
      AccessKeyId: 'AK',
      SecretAccessKey: 'SK',
      Expiration: '1970-01-01T00:00:01Z',
    });
    assert.deepEqual(JSON.parse(formatContainerCredentials(keys, 0)), {
      AccessKeyId: 'AK',
      SecretAccessKey: 'SK',
      Token: '',
      Expiration: '1970-01-01T00:00:00Z',
    });
    assert.equal(awsKeysOf(contentOf('aws', { session_token: 'ST' }))?.sessionToken, 'ST');
  });
});

describe('toObject()', () => {
  it("is pharmer's object", () => {
    assert.deepEqual(toObject(contentOf('aws'), 1_500), {
      apiVersion: 'cloud.pharmer.io/v1',
      kind: 'Credential',
      metadata: { creationTimestamp: '1970-01-01T00:00:01Z', name: 'aws' },
      spec: { data: VALUES.aws, provider: 'aws' },
    });
    const unknown = toObject({ ...contentOf('aws'), provider: undefined }, undefined);
    assert.deepEqual([unknown.metadata, Object.keys(unknown.spec)], [{ name: 'aws' }, ['data']]);
  });
});
