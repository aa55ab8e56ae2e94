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

/** Returns a complete set with the given values replaced, and those given as undefined left out. */
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
  it('names the missing fields, except those that the caller can do without', () => {
    assert.equal(requireComplete(contentOf('aws')).id, 'aws');
    const portworx = contentOf('aws', { backup_repo: undefined, backup_password: undefined });
    assert.throws(() => requireComplete(portworx), misses('backup_repo', 'backup_password'));
    assert.equal(requireComplete(portworx, ['backup_repo', 'backup_password']).id, 'aws');
    assert.throws(() => requireComplete({ ...portworx, provider: undefined }), misses('provider'));
  });
});

describe('refuseNul()', () => {
  it('refuses a value that would be cut short in a variable', () => {
    assert.throws(() => refuseNul(contentOf('aws', { backup_password: 'a\0b' })), isInvalid);
    refuseNul(contentOf('aws'));
  });
});

describe('formatDotenv()', () => {
  it('leaves unquoted what every reader, including docker run, reads unquoted', () => {
    const { text, quoted } = formatDotenv(
      new Map([
        ['A', 's3:https://host/b_c-d.e,f=@%+'],
        ['B', 'x'],
      ]),
    );
    assert.equal(text, 'A=s3:https://host/b_c-d.e,f=@%+\nB=x\n');
    assert.deepEqual(quoted, []);
  });

  it('is read back by Node and by a shell, except for the values that it reports as misread', () => {
    const unit = fc.constantFrom('a', ' ', "'", '"', '$', '#', '\n', '\r', '`', '=', 'ü', '{', '}', '\\', '(');
    const secrets = fc.sample(fc.string({ unit, minLength: 1, maxLength: 6 }), { numRuns: 2000, seed: 1 });
    const variables = new Map(secrets.map((secret, index) => [`V${index}`, secret]));
    const { text, misread } = formatDotenv(variables);
    const words = [...variables.keys()].map((name) => `"$${name}"`).join(' ');
    const script = `eval "$1"; printf '%s\\0' ${words}`;
    const byShell = execFileSync('/bin/sh', ['-c', script, 'sh', text], { encoding: 'utf8' }).split('\0');
    for (const [index, secret] of secrets.entries()) {
      const readers = misread.get(`V${index}`) ?? [];
      // One file per value for Node, as a misread value can extend into the next line.
      const byNode = parseEnv(formatDotenv(new Map([['A', secret]])).text);
      if (!readers.includes('Node')) assert.deepEqual({ ...byNode }, { A: secret });
      if (!readers.includes('sh and systemd')) assert.equal(byShell[index], secret);
    }
  });

  it('reports which variables are quoted, and which readers misread them', () => {
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

  it('escapes as Compose does if the value has a single quote or a backslash', () => {
    assert.equal(formatDotenv(new Map([['A', 'it\'s "$5"\\\n']])).text, 'A="it\'s \\"\\$5\\"\\\\\n"\n');
  });

  it('contains nothing that a shell would execute', () => {
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
  it('leaves a plain word unquoted', () => {
    assert.equal(quoteIfNeeded('--endpoint=host:9000'), '--endpoint=host:9000');
    assert.equal(quoteIfNeeded("--bucket=a'$b"), "'--bucket=a'\\''$b'");
  });
});

describe('formatRclone()', () => {
  it('returns a section named after the set', () => {
    assert.equal(
      formatRclone(contentOf('aws', { region: 'eu-central-1' })),
      '[aws]\ntype = s3\nprovider = AWS\naccess_key_id = AK\nsecret_access_key = SK\nregion = eu-central-1\n',
    );
  });

  it('needs neither a repository nor a password', () => {
    assert.match(
      formatRclone(contentOf('azure', { backup_repo: undefined, backup_password: undefined })),
      /^key = AAAA$/m,
    );
  });

  it('writes a service account on one line', () => {
    assert.match(formatRclone(contentOf('google')), /^service_account_credentials = \{"type":"service_account"\}$/m);
  });

  it('refuses values that a line of the file would truncate or alter', () => {
    for (const value of ['a\nb', 'a\rb', ' a', 'a ', 'a\0b', '`a"""b', '"""a`b']) {
      assert.throws(() => formatRclone(contentOf('aws', { secret_key: value })), isInvalid, JSON.stringify(value));
    }
  });
});

describe('formatRestic()', () => {
  it('has only the variables for restic', () => {
    const text = formatRestic(contentOf('aws'));
    assert.match(text, /^RESTIC_PASSWORD="PW"$/m);
    assert.doesNotMatch(text, /RCLONE/);
  });

  it('names the fields that restic takes only as a file', () => {
    const google = formatRestic(contentOf('google', { endpoint_ca: 'PEM' }));
    assert.match(google, /^# GOOGLE_APPLICATION_CREDENTIALS= .*: cio credential get cio_google_service_account$/m);
    assert.match(google, /^# RESTIC_CACERT= .*: cio credential get cio_google_endpoint_ca$/m);
    assert.doesNotMatch(google, /service_account"|PEM/);
  });

  it('requires the fields that restic requires', () => {
    assert.throws(() => formatRestic(contentOf('aws', { backup_password: undefined })), misses('backup_password'));
  });
});

describe('formatKopia()', () => {
  it('prints the command without secrets, and the secrets as variables', () => {
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

  it('uses bucket and prefix of a set without a repository', () => {
    const content = contentOf('aws', { backup_repo: undefined, bucket: "o'b", prefix: 'x' });
    assert.match(formatKopia(content), /^# kopia repository connect s3 '--bucket=o'\\''b' --prefix=x\/\n/);
    assert.throws(() => formatKopia(contentOf('aws', { backup_repo: undefined })), misses('backup_repo'));
  });

  it('supports the other providers', () => {
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
  it('return a shared credentials file, with and without the region', () => {
    const content = contentOf('aws', { region: 'eu-central-1' });
    assert.equal(
      formatAws(content),
      '[default]\naws_access_key_id = AK\naws_secret_access_key = SK\nregion = eu-central-1\n',
    );
    assert.equal(formatVelero(content), '[default]\naws_access_key_id=AK\naws_secret_access_key=SK\n');
  });

  it('keep an equals sign in a key', () => {
    assert.match(formatVelero(contentOf('aws', { secret_key: 'a=b==' })) ?? '', /^aws_secret_access_key=a=b==$/m);
  });

  it('return what Velero takes for the other providers', () => {
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

  it('return undefined for a set without such keys', () => {
    assert.equal(formatAws(contentOf('azure')), undefined);
    assert.equal(formatAws(contentOf('aws', { use_iam: 'true' })), undefined);
    assert.throws(() => formatAws(contentOf('aws', { secret_key: 'a b' })), isInvalid);
  });
});

describe('formatAwsProfiles()', () => {
  it('writes region and server where the AWS tools look for them', () => {
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

describe('formatCredentialProcess() and formatContainerCredentials()', () => {
  const keys = { accessKeyId: 'AK', secretAccessKey: 'SK', sessionToken: undefined };
  it('return an expiry without fractions, and an empty token where the format requires one', () => {
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
  it("returns pharmer's object", () => {
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
