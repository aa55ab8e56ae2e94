import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatExport } from '../../../src/export-format.ts';
import type { Found } from '../../../src/import/found.ts';
import { formatOf, IMPORT_FORMATS, readFormat } from '../../../src/import/formats.ts';
import { ImportError } from '../../../src/import/import-error.ts';
import { planImport, type Plan, type PlanOptions } from '../../../src/import/plan.ts';
import { readAws } from '../../../src/import/aws.ts';
import { parseSetFile } from '../../../src/import/set-file.ts';
import { PROVIDERS } from '../../../src/providers/registry.ts';
import fc from 'fast-check';
import { withinCpuTime } from '../../support/cpu-time.ts';

const context = {
  reveal: (text: string): string | undefined => (text.startsWith('obscured-') ? text.slice(9) : undefined),
};
const plain: PlanOptions = { set: undefined, provider: undefined, profile: undefined, asAlternate: false };

function read(path: string, text: string): Found {
  return readFormat(formatOf(path, text), text, context);
}

/** Returns the names and values of the planned credentials. */
function credentials(plan: Plan): Record<string, string | undefined> {
  return Object.fromEntries(
    plan.credentials.map(({ credential }) => [
      credential.name,
      'value' in credential ? credential.value : credential.data,
    ]),
  );
}

function plan(path: string, text: string, options: Partial<PlanOptions> = {}): Record<string, string | undefined> {
  return credentials(planImport([{ name: path, found: read(path, text) }], { ...plain, ...options }));
}

describe('readFormat()', () => {
  it('reads both files of the AWS tools together, and names the profiles without keys of their own', () => {
    const config =
      '[default]\nregion = eu-central-1\ns3 =\n    max_queue_size = 10\n[profile sso]\nsso_session = x\n[sso-session x]\nsso_region = r\n[profile proc]\ncredential_process = /bin/x\n';
    const found = readAws(
      '[default]\naws_access_key_id = A\naws_secret_access_key = S\n[half]\naws_access_key_id = B\n',
      config,
    );
    assert.deepEqual(credentials(planImport([{ name: 'f', found }], plain)), {
      cio_aws_access_key: 'A',
      cio_aws_secret_key: 'S',
      cio_aws_region: 'eu-central-1',
    });
    assert.deepEqual(
      found.skipped.map(({ what, reason }) => `${what}: ${reason}`),
      [
        'the section [half]: it has no secret key',
        'the section [profile sso]: its keys come from a login (SSO)',
        'the section [profile proc]: its keys come from a program (credential_process)',
      ],
    );
  });

  it("reads mc's aliases, and leaves out its built-in ones", () => {
    const alias = (url: string, key: string): object => ({
      url,
      accessKey: key,
      secretKey: key,
      api: 'S3v4',
      path: 'on',
    });
    const text = JSON.stringify({
      version: '10',
      aliases: {
        lab: { ...alias('http://10.0.0.5:9000/', 'KEY'), path: 'auto' },
        gcs: alias('https://storage.googleapis.com', 'YOUR-ACCESS-KEY-HERE'),
        local: alias('http://localhost:9000', ''),
        play: alias('https://play.min.io', 'PLAY'),
        s3: alias('https://s3.amazonaws.com', 'AWSKEY'),
      },
    });
    assert.deepEqual(plan('/root/.mc/config.json', text), {
      cio_minio_lab_endpoint: 'http://10.0.0.5:9000',
      cio_minio_lab_access_key: 'KEY',
      cio_minio_lab_secret_key: 'KEY',
      cio_aws_s3_endpoint: 'https://s3.amazonaws.com',
      cio_aws_s3_access_key: 'AWSKEY',
      cio_aws_s3_secret_key: 'AWSKEY',
      cio_aws_s3_path_style: 'true',
    });
    assert.equal(read('config.json', text).skipped.length, 3);
  });

  it("reads rclone's remotes, reveals obscured passwords, and refuses an encrypted file", () => {
    const text =
      '[minio]\ntype = s3\nprovider = Minio\naccess_key_id = A\nsecret_access_key = obscured-not\nendpoint = http://m:9000\n\n' +
      '[Iam]\ntype = s3\nprovider = AWS\nenv_auth = true\n\n[c]\ntype = crypt\nremote = minio:b\npassword = obscured-pw\npassword2 = obscured-salt\n\n[d]\ntype = drive\n';
    assert.deepEqual(plan('x.conf', text), {
      cio_minio_access_key: 'A',
      cio_minio_secret_key: 'obscured-not',
      cio_minio_endpoint: 'http://m:9000',
      cio_aws_iam_use_iam: 'true',
      rclone_c_password: 'pw',
      rclone_c_password2: 'salt',
    });
    assert.match(read('x.conf', text).skipped[0]?.reason ?? '', /its type is not one/);
    const encrypted = '# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nQUJD\n';
    assert.throws(() => read('x.conf', encrypted), { name: 'ImportError', message: /rclone has encrypted it/ });
  });

  it("reads s3cmd's file, files of variables, and this program's own names in them", () => {
    const s3cfg =
      '[default]\naccess_key = A\nsecret_key = S\naccess_token =\nbucket_location = US\nhost_base = m.example.org:9000\nhost_bucket = m.example.org:9000\nuse_https = False\ngpg_passphrase = x\n';
    assert.deepEqual(plan('.s3cfg', s3cfg), {
      cio_s3_access_key: 'A',
      cio_s3_secret_key: 'S',
      cio_s3_region: 'us-east-1',
      cio_s3_endpoint: 'http://m.example.org:9000',
      cio_s3_path_style: 'true',
    });
    const env =
      'export RESTIC_REPOSITORY=s3:https://s3.amazonaws.com/b\nexport RESTIC_PASSWORD_FILE=/etc/pw\nAWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\nPATH=/bin\ncio_minio_access_key=M\n';
    assert.deepEqual(plan('/etc/restic/env', env), {
      cio_aws_backup_repo: 's3:https://s3.amazonaws.com/b',
      cio_aws_access_key: 'A',
      cio_aws_secret_key: 'S',
      cio_minio_access_key: 'M',
    });
    const [file] = read('/etc/restic/env', env).skipped;
    assert.match(`${file?.what} ${file?.line} ${file?.reason}`, /RESTIC_PASSWORD_FILE 2 .*--from-file PATH/);
    const sftp = read('env', 'RESTIC_REPOSITORY=sftp:u@h:/x\nRESTIC_PASSWORD=canary\n');
    assert.deepEqual([sftp.sets.length, sftp.skipped.length], [0, 1]);
  });

  it("reads OpenStack's S3 keys from its scripts, and names its logins as left out", () => {
    const ec2rc =
      '#!/bin/bash\nNOVARC=$(readlink -f x)\nexport EC2_ACCESS_KEY=A\nexport EC2_SECRET_KEY=S\nexport S3_URL=https://s3.cloud.example.org:8080/\nalias x="y"\n';
    assert.deepEqual(plan('ec2rc.sh', ec2rc), {
      cio_s3_openstack_access_key: 'A',
      cio_s3_openstack_secret_key: 'S',
      cio_s3_openstack_endpoint: 'https://s3.cloud.example.org:8080',
    });
    const openrc =
      'export OS_AUTH_URL=https://k/v3\necho "Please enter"\nread -sr OS_PASSWORD_INPUT\nexport OS_PASSWORD=$OS_PASSWORD_INPUT\nif [ -z "$OS_REGION_NAME" ]; then unset OS_REGION_NAME; fi\n';
    assert.match(read('a-openrc.sh', openrc).skipped[0]?.reason ?? '', /openstack ec2 credentials create/);
    const clouds = 'clouds:\n  lab:\n    auth:\n      auth_url: https://k/v3\n      password: canary\n';
    assert.deepEqual(
      read('clouds.yaml', clouds).skipped.map(({ what, line }) => [what, line]),
      [['the cloud lab', 2]],
    );
    assert.equal(
      plan('x.json', '{"access": "A", "secret": "S", "project_id": "p", "trust_id": null}')[
        'cio_s3_openstack_secret_key'
      ],
      'S',
    );
  });

  it("reads Velero's file for each cloud, and this program's export", () => {
    assert.deepEqual(Object.keys(plan('cloud', '[default]\naws_access_key_id=A\naws_secret_access_key=S\n')), [
      'cio_aws_access_key',
      'cio_aws_secret_key',
    ]);
    assert.deepEqual(
      plan(
        'cloud',
        'AZURE_STORAGE_ACCOUNT=acct\nAZURE_STORAGE_ACCOUNT_ACCESS_KEY=QUJD\nAZURE_CLOUD_NAME=AzurePublicCloud\n',
      ),
      {
        cio_azure_account_name: 'acct',
        cio_azure_account_key: 'QUJD',
      },
    );
    const text = formatExport({
      created: 1,
      credentials: [
        { name: 'cio_aws_secret_key', value: 'S' },
        { name: 'free', data: '/w==' },
      ],
    });
    assert.deepEqual(plan('x', text, { asAlternate: true }), { cio_aws_alt_secret_key: 'S', free: '/w==' });
  });

  it('throws nothing but ImportError for any text in any format', () => {
    const words = fc.constantFrom(
      '[default]',
      'type = s3',
      '{"aliases":',
      '{"a":{"url":',
      'clouds:',
      'canary',
      '=',
      '\n',
      ' ',
      '"',
      "'",
      '}',
      'RESTIC_PASSWORD',
      'access_key',
      'null',
      '[]',
    );
    fc.assert(
      fc.property(fc.constantFrom(...IMPORT_FORMATS), fc.array(words, { maxLength: 12 }), (format, parts) => {
        try {
          planImport([{ name: 'f', found: readFormat(format, parts.join(''), context) }], plain);
          formatOf(undefined, parts.join(''));
        } catch (error) {
          assert.ok(error instanceof ImportError, String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('takes the slashes off the end of an endpoint, in time in proportion to its length', () => {
    const slashes = '/'.repeat(100_000);
    withinCpuTime(5000, () => {
      for (const [given, wanted] of [
        [`https://m:9000${slashes}`, 'https://m:9000'],
        [`https://m:9000${slashes}x`, `https://m:9000${slashes}x`],
      ] as const) {
        const keys = 'AWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\n';
        const [set] = readFormat('env', `${keys}AWS_ENDPOINT_URL=${given}\n`, context).sets;
        assert.equal(set?.values.get('endpoint'), wanted);
        const parsed = parseSetFile(`${keys}AWS_ENDPOINT_URL=${given}\n`, { provider: undefined, profile: undefined });
        assert.equal(parsed.values.get('endpoint'), wanted);
      }
    });
  });
});

describe('planImport()', () => {
  const profiles =
    '[default]\naws_access_key_id=A\naws_secret_access_key=S\n[Site 2]\naws_access_key_id=B\naws_secret_access_key=T\n';

  it('names sets by provider and profile, or by --set', () => {
    assert.deepEqual(
      Object.keys(plan('f', profiles)).map((name) => name.replace(/_(?:access|secret)_key/, '')),
      ['cio_aws', 'cio_aws', 'cio_aws_site_2', 'cio_aws_site_2'],
    );
    assert.deepEqual(plan('f', profiles, { profile: 'Site 2', set: 'offsite', provider: PROVIDERS.get('minio') }), {
      cio_offsite_access_key: 'B',
      cio_offsite_secret_key: 'T',
      cio_offsite_provider: 'minio',
    });
    assert.deepEqual(Object.keys(plan('f', profiles, { profile: 'default', asAlternate: true })), [
      'cio_aws_alt_access_key',
      'cio_aws_alt_secret_key',
    ]);
  });

  it('refuses two sets of one name, one name for two sets, and a set of another provider', () => {
    const found = read('f', profiles);
    assert.throws(
      () =>
        planImport(
          [
            { name: 'f', found },
            { name: 'g', found },
          ],
          plain,
        ),
      /set aws comes from f, line 1 already; .*--set/,
    );
    assert.throws(() => plan('f', profiles, { set: 'x' }), /--set names one set, but there are 2/);
    assert.throws(() => plan('.env', 'cio_x_aws_region=r\n', { set: 'x' }), /--set names one set, but there are 0/);
    assert.throws(
      () => plan('f', profiles, { profile: 'default', set: 'azure_x' }),
      /is for azure, but the keys are for aws/,
    );
    assert.throws(() => plan('f', profiles, { profile: 'nothing' }), /there are default, Site 2/);
    assert.throws(() => plan('f', profiles, { provider: PROVIDERS.get('google') }), /for aws, not for google/);
  });

  it('ignores --set if there is nothing to import, so that the caller reports why', () => {
    const found = read('.env', 'AWS_ACCESS_KEY_ID=AKIA1\nB2_ACCOUNT_ID=x\n');
    const { credentials: none, skipped } = planImport([{ name: 'f', found }], { ...plain, set: 'aws_x' });
    assert.deepEqual([none, skipped.length], [[], 2]);
  });

  it('names the line of an invalid value, or of its section if that has parts in two files', () => {
    const lineOf = (found: Found): number | undefined => {
      try {
        planImport([{ name: 'f', found }], plain);
      } catch (error) {
        if (error instanceof ImportError && error.reason.includes('_secret_key is not valid')) return error.line;
        throw error;
      }
      return assert.fail('it was taken');
    };
    assert.equal(lineOf(read('.env', '# mine\nAWS_ACCESS_KEY_ID=AKIA1\nAWS_SECRET_ACCESS_KEY="a b"\n')), 3);
    const ini = '[default]\naws_access_key_id = AKIA1\naws_secret_access_key = a b\n';
    assert.equal(lineOf(read('credentials', ini)), 3);
    const config = '\n\n\n[default]\naws_secret_access_key = a b\n';
    assert.equal(lineOf(readAws('[default]\naws_access_key_id = AKIA1\n', config)), 1);
  });
});
