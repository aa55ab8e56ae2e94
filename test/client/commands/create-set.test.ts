import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { connect } from '../../../client/index.ts';
import { EXIT } from '../../../src/errors.ts';
import type { CioResult } from '../../support/cio.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { run } from '../../support/process.ts';
import { quoted } from '../terminal.ts';
import { Harness, newSetName } from './harness.ts';

const harness = await Harness.start({ after });

const UUID = /^Credentials created successfully, UUID:([0-9a-f-]{36})\n$/;

/** The words of a line. */
function words(line: string): string[] {
  return line.split(' ');
}

/** A name as Portworx users give to credentials; its set needs a field `provider`. */
function newPortworxName(): string {
  return newSetName().replace('s3_', 'my-cred-');
}

/** Returns all stored values of a set, secrets included. */
async function valuesOf(set: string): Promise<Record<string, string>> {
  await using client = await connect({ socket: harness.daemon.socketPath });
  const { members } = await client.call('GetSet', { set, allowIncomplete: true });
  return Object.fromEntries(members.map(({ field, value }) => [field, value ?? '']));
}

async function assertAbsent(set: string): Promise<void> {
  const { credentials } = (await harness.json(['list', set])) as { credentials: unknown[] };
  assert.deepEqual(credentials, []);
}

/** Runs `cio credentials create`, the command as in Portworx, which must succeed. */
async function create(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await harness.runPortworx(['create', ...words]);
  assert.equal(code, EXIT.done, stderr);
  return stdout;
}

describe("cio credentials create with pxctl's options", () => {
  it('stores them as the fields of the set', async () => {
    const name = newPortworxName();
    const stdout = await create(
      ...words('--provider s3 --s3-access-key AK --s3-secret-key SK --s3-region eu-1 --s3-storage-class STANDARD_IA'),
      ...words('--s3-endpoint a.example:9000,b.example:9000 --s3-disable-ssl --disable-path-style --s3-sse aws:kms'),
      ...words('--bucket b-1 --proxy http://proxy.example:3128 --no-validate --encryption-passphrase'),
      'pass phrase',
      name,
    );
    const { sets } = (await harness.json(['list', name])) as { sets: { uuid: string }[] };
    assert.equal(UUID.exec(stdout)?.[1], sets[0]?.uuid);
    assert.deepEqual(await valuesOf(name), {
      provider: 's3',
      access_key: 'AK',
      secret_key: 'SK',
      region: 'eu-1',
      endpoint: 'http://a.example:9000,http://b.example:9000',
      storage_class: 'STANDARD_IA',
      sse: 'aws:kms',
      bucket: 'b-1',
      path_style: 'false',
      backup_password: 'pass phrase',
      proxy: 'http://proxy.example:3128',
    });
  });

  it('says which of several servers is used, and takes them as one list only', async () => {
    const keys = words('--provider s3 --s3-access-key AK --s3-secret-key SK --no-validate');
    const run = (...endpoints: string[]): Promise<CioResult> =>
      harness.runPortworx(['create', ...keys, ...endpoints, newPortworxName()]);
    const one = await run('--s3-endpoint', 'a.example');
    assert.doesNotMatch(one.stderr, /is tried and used/);
    const several = await run('--s3-endpoint', 'a.example:9000, b.example');
    assert.equal(several.code, EXIT.done);
    assert.match(several.stderr, /^Note: only https:\/\/a\.example:9000 is tried and used; /m);
    const twice = await run('--s3-endpoint', 'a.example', '--s3-endpoint', 'b.example');
    assert.equal(twice.code, EXIT.usage);
    assert.match(twice.stderr, /--s3-endpoint is given twice\nHint: give several as one, with commas between\n$/);
  });

  it('stores accounts of Azure and Google', async (t) => {
    const azure = newPortworxName();
    await create(
      '--provider',
      'azure',
      '--azure-account-name',
      'acc1',
      '--azure-account-key',
      'QUJD',
      '--no-validate',
      azure,
    );
    assert.deepEqual(await valuesOf(azure), { provider: 'azure', account_name: 'acc1', account_key: 'QUJD' });
    const key = '-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n';
    const account = JSON.stringify({ type: 'service_account', client_email: 'a@b.example', private_key: key });
    const file = path.join(temporaryDirectory(t), 'key.json');
    fs.writeFileSync(file, account);
    const google = newPortworxName();
    await create(
      '--provider',
      'google',
      '--google-project-id',
      'p-1',
      '--google-json-key-file',
      file,
      '--no-validate',
      google,
    );
    assert.deepEqual(await valuesOf(google), { provider: 'google', project_id: 'p-1', service_account: account });
  });

  it('changes only the given fields', async () => {
    const name = newPortworxName();
    const first = ['--provider', 's3', '--s3-access-key', 'AK', '--s3-secret-key', 'SK', '--s3-endpoint', 'old:9000'];
    await create(...first, '--s3-disable-ssl', '--disable-path-style', '--no-validate', name);
    const before = await valuesOf(name);
    const stdout = await create('--s3-region', 'eu-2', '--replace', '--no-validate', name);
    assert.match(stdout, /^Credentials updated successfully, UUID:/);
    assert.deepEqual(await valuesOf(name), { ...before, region: 'eu-2' });
    await create('--s3-endpoint', 'new:9000', '--replace', '--no-validate', name);
    assert.deepEqual(await valuesOf(name), { ...before, region: 'eu-2', endpoint: 'http://new:9000' });
  });

  it('reads a secret from a pipe', async () => {
    const name = newPortworxName();
    const words = [
      'create',
      '--provider',
      's3',
      '--s3-access-key',
      'AK',
      '--s3-secret-key',
      '-',
      '--no-validate',
      name,
    ];
    await harness.succeed(words, { stdin: 'pipedsecret-key\n' });
    assert.equal((await valuesOf(name))['secret_key'], 'pipedsecret-key');
    const two = ['--provider', 's3', '--s3-access-key', 'AK', '--s3-secret-key', '-', '--encryption-passphrase', '-'];
    const told = await harness.fail(EXIT.usage, ['create', ...two, newPortworxName()], { stdin: 'x' });
    assert.match(told, /two secrets/);
  });

  it("takes the proxy of the caller's environment, and names the variables it looked for", async () => {
    const name = newPortworxName();
    const words = ['create', '--provider', 's3', '--use-iam', '--use-proxy', '--no-validate'];
    const env = { HTTPS_PROXY: 'http://proxy.example:3128', HTTP_PROXY: 'http://other.example:3128' };
    await harness.succeed([...words, name], { env });
    assert.deepEqual(await valuesOf(name), { provider: 's3', use_iam: 'true', proxy: 'http://proxy.example:3128' });
    assert.match(
      await harness.fail(EXIT.usage, [...words, newPortworxName()]),
      /HTTPS_PROXY and HTTP_PROXY are not set/,
    );
    const secret = await harness.fail(EXIT.invalid, [...words, newPortworxName()], {
      env: { HTTPS_PROXY: 'http://ann:canary@proxy.example' },
    });
    assert.match(secret, /--use-proxy is not valid/);
    assert.doesNotMatch(secret, /canary/);
  });

  for (const [words, exit, told] of [
    [['--provider', 'nfs', 'x'], EXIT.usage, /--provider nfs is not supported\nHint: .*NFS/],
    [['--provider', 's3', '--nfs-server', 'h', 'x'], EXIT.usage, /--nfs-server is not supported\nHint: .*NFS/],
    [['--provider', 's3', '--use-workload-identity', 'x'], EXIT.usage, /is not supported\nHint: .*Kubernetes/],
    [['--provider', 'gogle', '--use-iam', 'x'], EXIT.usage, /did you mean google\?/],
    [
      ['--provider', 's3', '--azure-account-name', 'acc', 'x'],
      EXIT.usage,
      /--azure-account-name is not for provider s3/,
    ],
    [['--provider', 's3', '--s3-region', 'eu', 'x'], EXIT.usage, /--s3-access-key and --s3-secret-key are missing/],
    [['--provider', 'azure', '--use-iam', 'aws'], EXIT.usage, /set aws is of provider aws, not azure/],
    [['--provider', 's3', '--use-iam', 'My Cred'], EXIT.invalid, /Hint: .*my-cred would be one/],
    [['--provider', 's3', '--use-iam', 'cio_aws_access_key'], EXIT.usage, /the name of one credential/],
    [['--provider', 's3', '--use-iam', 'x', 'value'], EXIT.usage, /VALUE is for one credential/],
    [['--use-iam', 'no-provider'], EXIT.usage, /the provider of the set is missing/],
    [['aws_site2'], EXIT.usage, /no terminal to ask on\nHint: .*- as VALUE/],
    [['--provider', 's3', 'x'], EXIT.usage, /no terminal to ask on/],
    [
      ['--provider', 's3', '--use-iam', '--s3-region', 'a canary', 'x'],
      EXIT.invalid,
      /--s3-region is not valid: it is not 1 to 64/,
    ],
    [
      ['--provider', 's3', '--use-iam', '--s3-sse', ' ', 'x'],
      EXIT.invalid,
      /--s3-sse is not valid: it is only white space/,
    ],
    [['--provider', 's3', '--from-env', '--ask', 'x'], EXIT.usage, /exclude each other/],
  ] as const) {
    it(`refuses ${words.join(' ')}, and stores nothing`, async () => {
      const stderr = await harness.fail(exit, ['create', ...words, '--no-validate']);
      assert.match(stderr, told);
      assert.doesNotMatch(stderr, /canary/);
      await assertAbsent('x');
    });
  }

  it('takes a name that begins with a provider for a set, unless the value is -', async () => {
    const set = newSetName();
    for (const words of [[set], [set, '--replace']]) {
      assert.match(await harness.fail(EXIT.usage, ['create', ...words], { stdin: 'value' }), /no terminal to ask on/);
    }
    assert.match(await harness.fail(EXIT.notFound, ['get', set]), /not found/);
    await harness.succeed(['create', set, '-'], { stdin: 'value' });
    assert.equal(await harness.succeed(['get', set]), 'value');
  });

  it('refuses a name that exists', async () => {
    const set = await harness.storeSet();
    const words = ['create', '--s3-access-key', 'NEW', '--s3-secret-key', 'NEW', '--no-validate', set];
    assert.match(await harness.fail(EXIT.alreadyExists, words), /already exists\nHint: --replace/);
    assert.equal((await valuesOf(set))['access_key'], 'AK');
  });

  it('names the option that gives a missing field', async () => {
    const words = ['--provider', 's3', '--s3-access-key', 'AK', '--s3-secret-key', '-', newSetName()];
    const { code, stderr } = await harness.run(['create', ...words], { stdin: 'SK' });
    assert.equal(code, EXIT.validationFailed);
    assert.match(stderr, /: the field endpoint is missing\nHint: --s3-endpoint gives what is missing; --no-validate/);
  });

  it('stores nothing of a set that cannot be reached, and says why', async () => {
    const name = newPortworxName();
    const words = ['--provider', 's3', '--s3-access-key', 'AK', '--s3-secret-key', 'canarySK', '--bucket', 'b-1'];
    const endpoint = ['--s3-endpoint', '127.0.0.1:1', '--s3-disable-ssl', '--s3-region', 'eu-1'];
    const stderr = await harness.fail(EXIT.validationFailed, ['create', ...words, ...endpoint, name]);
    assert.match(stderr, /nothing was stored: .*127\.0\.0\.1.*\nHint: --no-validate/);
    assert.doesNotMatch(stderr, /canary/);
    await assertAbsent(name);
    const { code, stdout } = await harness.run(['create', '--json', ...words, ...endpoint, name]);
    assert.equal(code, EXIT.validationFailed);
    const report = JSON.parse(stdout) as { failed: boolean; saved: unknown[]; findings: { state: string }[] };
    assert.deepEqual([report.failed, report.saved], [true, []]);
    assert.ok(report.findings.some(({ state }) => state === 'failed'));
  });

  it("prints pxctl's message for a removal, and needs no --yes without a terminal", async () => {
    const name = newPortworxName();
    await create('--provider', 's3', '--use-iam', '--no-validate', name);
    const { sets } = (await harness.json(['list', name])) as { sets: { uuid: string }[] };
    const { stdout, stderr } = await harness.runPortworx(['delete', sets[0]?.uuid ?? '']);
    assert.deepEqual([stdout, stderr], ['', 'Credential deleted successfully\n']);
    await assertAbsent(name);
  });
});

describe('cio credential create --from-env', () => {
  const env = { AWS_ACCESS_KEY_ID: 'AK', AWS_SECRET_ACCESS_KEY: 'canarySK' };

  it("stores the provider's variables, and says what is missing", async () => {
    const set = newSetName();
    const { code, stdout, stderr } = await harness.run(
      ['create', set, '--provider', 's3', '--from-env', '--no-validate'],
      {
        env,
      },
    );
    assert.deepEqual([code, stdout], [EXIT.done, '']);
    assert.match(stderr, new RegExp(`^Succeed: Create credential: Set ${set} saved\n`));
    assert.match(stderr, /was not tried out/);
    assert.match(stderr, /lacks backup_repo, backup_password: cio credential create cio_/);
    assert.doesNotMatch(stderr, /canary/);
    assert.deepEqual(await valuesOf(set), { access_key: 'AK', secret_key: 'canarySK' });
  });

  it('stores nothing if one variable is invalid', async () => {
    const set = newSetName();
    const words = ['create', set, '--from-env', '--no-validate'];
    const told = await harness.fail(EXIT.invalid, words, { env: { ...env, AWS_SECRET_ACCESS_KEY: '' } });
    assert.match(told, /AWS_SECRET_ACCESS_KEY is not valid: it is empty; nothing was stored/);
    await assertAbsent(set);
  });

  it('refuses a variable that is not UTF-8, as Node would change it', async () => {
    const set = newSetName();
    const line = [...harness.built, 'credential', 'create', set, '--from-env', '--no-validate'].map(quoted).join(' ');
    const shell = `AWS_SECRET_ACCESS_KEY="$(printf 'caf\\351')" exec ${line}`;
    const { code, stderr } = await run(['/bin/sh', '-c', shell], { env: { ...harness.environment, ...env } });
    assert.equal(code, EXIT.invalid, stderr);
    assert.match(stderr, /AWS_SECRET_ACCESS_KEY is not UTF-8 text; nothing was stored/);
    await assertAbsent(set);
  });

  it('lets options add to the variables or override them', async () => {
    const set = newSetName();
    await harness.succeed(['create', set, '--from-env', '--s3-access-key', 'OTHER', '--bucket', 'b', '--no-validate'], {
      env,
    });
    assert.deepEqual(await valuesOf(set), { access_key: 'OTHER', secret_key: 'canarySK', bucket: 'b' });
  });
});

describe('cio credential create SET --from-file', () => {
  const store = async (text: string, ...words: string[]): Promise<Record<string, string>> => {
    const folder = fs.mkdtempSync(path.join(harness.folder, 'file-'));
    fs.writeFileSync(path.join(folder, 'set'), text);
    const set = words[0]?.startsWith('-') === false ? (words.shift() ?? '') : newSetName();
    await harness.succeed(['create', set, '--from-file', path.join(folder, 'set'), '--no-validate', ...words]);
    return valuesOf(set);
  };

  it('reads JSON, YAML, INI and variables', async () => {
    const wanted = { access_key: 'AK', secret_key: 'SK' };
    assert.deepEqual(await store('{"accessKeyID": "AK", "secretAccessKey": "SK",}', '--provider', 's3'), wanted);
    assert.deepEqual(await store('access_key: AK\nsecret_key: SK\n', '--provider', 's3'), wanted);
    assert.deepEqual(await store('AWS_ACCESS_KEY_ID=AK\nAWS_SECRET_ACCESS_KEY=SK\n', '--provider', 's3'), wanted);
    const ini =
      '[default]\naws_access_key_id=no\naws_secret_access_key=no\n[work]\naws_access_key_id = AK\naws_secret_access_key = SK\n';
    assert.deepEqual(await store(ini, '--provider', 's3', '--profile', 'work'), wanted);
  });

  it('takes the provider from the file if nothing else says it', async () => {
    const set = newPortworxName();
    assert.deepEqual(await store('provider: minio\naccess_key: AK\nsecret_key: SK\n', set), {
      provider: 'minio',
      access_key: 'AK',
      secret_key: 'SK',
    });
  });

  it('stores a set if the name begins with a provider and the file has fields of it', async () => {
    const [set, file] = [newSetName(), path.join(harness.folder, 'fields')];
    await store('{"access_key": "AK1", "secret_key": "SK1"}', set);
    fs.writeFileSync(file, '{"access_key": "AK2", "secret_key": "SK2"}');
    assert.match(await harness.fail(EXIT.alreadyExists, ['create', set, '--from-file', file]), /_key already exists/);
    fs.writeFileSync(file, '{"color": "red"}');
    await harness.succeed(['create', set, '--from-file', file]);
    assert.equal(await harness.succeed(['get', set]), '{"color": "red"}');
  });

  it('reads standard input for -, and decides by the name alone', async () => {
    const stdin = 'access_key: AK\nsecret_key: SK\n';
    const wanted = { access_key: 'AK', secret_key: 'SK' };
    const set = newSetName();
    await harness.succeed(['create', set, '--from-file', '-', '--no-validate'], { stdin });
    assert.deepEqual(await valuesOf(set), wanted);
    const other = newSetName();
    assert.match((await harness.run(['create', other, '--from-file', '-'], { stdin })).stderr, /nothing was stored/);
    const name = newPortworxName();
    await harness.succeed(['create', name, '--from-file', '-'], { stdin });
    assert.equal(await harness.succeed(['get', name]), stdin.trimEnd());
    await harness.fail(EXIT.usage, ['create', newPortworxName(), 'x', '--from-file', '-'], { stdin });
    assert.match(await harness.fail(EXIT.invalid, ['create', newPortworxName(), '-f', '-']), /standard input has no/);
  });

  it('stores the file as one value if it is no set, or the name is that of a member', async () => {
    const file = path.join(harness.folder, 'one-value');
    fs.writeFileSync(file, 'access_key: AK\nsecret_key: SK\n');
    const member = `cio_${newSetName()}_backup_password`;
    await harness.succeed(['create', member, '--from-file', file]);
    assert.equal(await harness.succeed(['get', member]), 'access_key: AK\nsecret_key: SK');
    fs.writeFileSync(file, 'just: some\nother: yaml\n');
    const name = newPortworxName();
    await harness.succeed(['create', name, '--from-file', file]);
    assert.equal(await harness.succeed(['get', name]), 'just: some\nother: yaml');
  });

  it('does not store a malformed set as one value, and says how to do so', async () => {
    const file = path.join(harness.folder, 'malformed');
    const hint = 'Hint: to store the file as one value, as it is: cio credential create NAME - < PATH';
    for (const [text, line] of [
      ['{"access_key": "canary",\n "secret_key": "canary"', 2],
      ['secret_key: x\naccess_key: canary: canary\n', 2],
      ['access_key: canary\nsecret_kye: canary\n', 2],
      ['AWS_ACCESS_KEY_ID=canary\nAWS_SECRET_ACCESS_KEY="canary"\n. /etc/more\n', 3],
      ['[default]\naws_access_key_id = canary\naws_access_key_id = other\n', 3],
    ] as const) {
      fs.writeFileSync(file, text);
      const set = newSetName();
      const stderr = await harness.fail(EXIT.invalid, ['create', set, '--from-file', file]);
      assert.match(stderr, new RegExp(`: line ${line} of the file: .*; nothing was stored\n${hint}\n$`));
      assert.doesNotMatch(stderr, /canary/);
      await assertAbsent(set);
      await harness.succeed(['create', set, '-'], { stdin: text });
      assert.equal(await harness.succeed(['get', set]), text.replace(/\n$/, ''));
    }
    const key = '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIE\n-----END RSA PRIVATE KEY-----';
    const connection = 'DefaultEndpointsProtocol=https;AccountName=account1;AccountKey=AAAA==;EndpointSuffix=x';
    const address = 'note: see https://host/?key=abc: d';
    for (const text of ['{"color": ', key, connection, address]) {
      const set = newSetName();
      fs.writeFileSync(file, text);
      await harness.succeed(['create', set, '--from-file', file]);
      assert.equal(await harness.succeed(['get', set]), text);
    }
  });

  it('does not store a set in UTF-16 as one value, and says how to save it', async () => {
    const file = path.join(harness.folder, 'utf16');
    const encode = (text: string): Buffer => Buffer.from(`\ufeff${text}`, 'utf16le');
    const marked = [encode('provider: s3\r\naccess_key: AK\r\n'), encode('access_key: AK\r\n').swap16()];
    for (const text of [...marked, ...marked.map((bytes) => bytes.subarray(2))]) {
      const set = newSetName();
      fs.writeFileSync(file, text);
      const stderr = await harness.fail(EXIT.invalid, ['create', set, '--from-file', file]);
      assert.match(stderr, /: the file of --from-file is UTF-16 text: save it as UTF-8\n$/);
      await assertAbsent(set);
    }
    const [name, text] = [newPortworxName(), encode('ключ')];
    fs.writeFileSync(file, text);
    await harness.succeed(['create', name, '--from-file', file]);
    assert.deepEqual((await harness.run(['get', name])).stdoutBytes, text, 'a value is in any encoding');
  });

  it('names the line of a mistake, without the value', async () => {
    const set = newSetName();
    const file = path.join(harness.folder, 'wrong');
    for (const [text, told] of [
      ['access_key: AK\nsecret_kye: canary\n', /line 2 of the file: .*secret_key/],
      ['{"access_key": "canary"', /line 1 of the file/],
      ['access_key: AK\nsecret_key: "canary canary"\n', /secret_key of the file is not valid: it has spaces/],
      ['', /the file of --from-file has no value/],
    ] as const) {
      fs.writeFileSync(file, text);
      const stderr = await harness.fail(EXIT.invalid, ['create', set, '--provider', 's3', '--from-file', file]);
      assert.match(stderr, told);
      assert.doesNotMatch(stderr, /canary/);
    }
    fs.writeFileSync(file, Buffer.alloc(2 * 1024 * 1024, 'a: b\n'));
    await harness.fail(EXIT.invalid, ['create', set, '--provider', 's3', '--from-file', file]);
    await harness.fail(EXIT.failed, ['create', set, '--provider', 's3', '--from-file', `${file}x`]);
    await assertAbsent(set);
  });
});

describe(
  'cio credential create for a set of another user',
  { skip: skipUnless(root, command('setpriv', 'util-linux')) },
  () => {
    it('makes their own set, even if one of that name was granted to them', async (t) => {
      const ann = harness.asUser(t, 54321);
      const set = newPortworxName();
      await create('--provider', 's3', '--s3-access-key', 'AK', '--s3-secret-key', 'SK', '--no-validate', set);
      await harness.succeed(['grant', set, '--user', '54321']);
      const words = [
        'create',
        '--provider',
        'azure',
        '--use-iam',
        '--azure-account-name',
        'acc1',
        '--no-validate',
        set,
      ];
      const { provider, uuid } = (await harness.json(words, ann)) as { provider: string; uuid: string };
      assert.equal(provider, 'azure');
      const { sets } = (await harness.json(['list', set, '--owner', '54321'])) as { sets: { uuid: string }[] };
      assert.deepEqual(
        sets.map((one) => one.uuid),
        [uuid],
      );
      assert.equal((await valuesOf(set))['access_key'], 'AK');
    });
  },
);
