import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { parse } from 'yaml';
import { EXIT } from '../../../src/errors.ts';
import { run } from '../../support/process.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { message, Peer } from '../peer.ts';
import { Harness, newSetName, REPOSITORY } from './harness.ts';

const harness = await Harness.start({ after });

const PASSWORD = ' p\'w "$HOME" `id` \\\n# ü: - {x} \t';

interface PharmerObject {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly creationTimestamp: string };
  readonly spec: { readonly data: Readonly<Record<string, string>>; readonly provider: string };
}

describe('cio credential get --output', () => {
  it("prints pharmer's object as YAML and JSON, also for an incomplete set", async () => {
    const set = await harness.storeSet({ backup_password: PASSWORD });
    const documents = [
      parse(await harness.succeed(['get', set, '-o', 'yaml'])) as PharmerObject,
      JSON.parse(await harness.succeed(['get', set, '--output', 'json'])) as PharmerObject,
    ];
    for (const { kind, metadata, spec } of documents) {
      assert.deepEqual([kind, metadata.name, spec.provider], ['Credential', set, 's3']);
      assert.deepEqual(spec.data, {
        backup_repo: REPOSITORY,
        access_key: 'AK',
        secret_key: 'SK',
        backup_password: PASSWORD,
      });
      assert.ok(Math.abs(Date.parse(metadata.creationTimestamp) - Date.now()) < 60_000);
    }
    const half = newSetName();
    await harness.store('AK', `cio_${half}_access_key`);
    assert.match(await harness.succeed(['get', half, '-o', 'yaml']), /^ {4}access_key: AK$/m);
    await harness.fail(EXIT.notFound, ['get', half, '-o', 'env']);
  });

  it('prints a credential as YAML and JSON, for any bytes', async () => {
    const bytes = Buffer.from([0xff, 0, 0x0a]);
    const name = await harness.store(bytes);
    const binary = await harness.succeed(['get', name, '-o', 'yaml']);
    const document = parse(binary, { customTags: ['binary'] }) as { readonly value: Uint8Array };
    assert.deepEqual([...document.value], [...bytes]);
    assert.equal((JSON.parse(await harness.succeed(['get', name, '-o', 'json'])) as { data: string }).data, '/wAK');
    assert.equal(
      await harness.succeed(['get', name, '-o', 'json', '--json']),
      await harness.succeed(['get', name, '-o', 'json']),
    );
    const text = await harness.store(PASSWORD);
    assert.equal((parse(await harness.succeed(['get', text, '-o', 'yaml'])) as { value: string }).value, PASSWORD);
    await harness.store('new', text);
    assert.match(await harness.succeed(['get', text, '-o', 'yaml', '--version', '1']), /^version: 1$/m);
  });

  it('prints environment files that a shell reads back to the same values', async () => {
    const set = await harness.storeSet({ backup_password: PASSWORD });
    for (const [form, read] of [
      ['env', 'eval "$1"'],
      ['restic', 'eval "$1"'],
      ['kopia', 'eval "$1"; RESTIC_PASSWORD=$KOPIA_PASSWORD'],
    ] as const) {
      const text = await harness.succeed(['get', set, '-o', form]);
      const { stdout } = await run([
        '/bin/sh',
        '-c',
        `${read}; printf %s "$RESTIC_PASSWORD$AWS_SECRET_ACCESS_KEY"`,
        'sh',
        text,
      ]);
      assert.equal(stdout.toString(), `${PASSWORD}SK`, form);
    }
  });

  it('names the values that docker run and others would read differently', async () => {
    const set = await harness.storeSet({ backup_password: PASSWORD });
    const { stdout, stderr } = await harness.run(['get', set, '-o', 'dotenv']);
    assert.match(stdout, /^RESTIC_PASSWORD="/m);
    assert.equal(
      stderr,
      'Note: docker run --env-file would take the quotes as part of RESTIC_PASSWORD.\n' +
        'Note: RESTIC_PASSWORD is written as Compose reads it; Node, python-dotenv, sh and systemd would read another value.\n',
    );
    const plain = await harness.run(['get', await harness.storeSet(), '-o', 'dotenv']);
    assert.equal(plain.stderr, '');
  });

  it('prints a section that rclone reads back', { skip: skipUnless(command('rclone')) }, async (t) => {
    const config = path.join(temporaryDirectory(t), 'rclone.conf');
    for (const secret of ['`tick"#;%=$x', '"""quotes', '"quoted"', '#x;y', '[x]', '`tick`', 'a=b:c', '\\']) {
      const set = await harness.storeSet({ secret_key: secret });
      fs.writeFileSync(config, await harness.succeed(['get', set, '-o', 'rclone']));
      const { stdout, stderr } = await run(['rclone', 'config', 'dump', '--config', config]);
      const remotes = JSON.parse(stdout.toString()) as Record<string, Record<string, string>>;
      assert.equal(remotes[set]?.['secret_access_key'], secret, stderr);
      assert.equal(remotes[set]['type'], 's3');
    }
  });

  it('prints files that the AWS command line reads', { skip: skipUnless(command('aws', 'awscli')) }, async (t) => {
    const file = path.join(temporaryDirectory(t), 'credentials');
    const set = await harness.storeSet({ secret_key: 'a=b#%;c', region: 'eu-central-1' });
    for (const form of ['aws', 'velero']) {
      fs.writeFileSync(file, await harness.succeed(['get', set, '-o', form]));
      const env = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', AWS_SHARED_CREDENTIALS_FILE: file };
      const { stdout } = await run(['aws', 'configure', 'get', 'aws_secret_access_key'], { env });
      assert.equal(stdout.toString(), 'a=b#%;c\n', form);
    }
  });

  it('encrypts for systemd on this host', { skip: skipUnless(command('systemd-creds', 'systemd'), root) }, async () => {
    const set = await harness.storeSet({ backup_password: PASSWORD });
    const decrypt = (name: string, blob: string): string =>
      spawnSync('systemd-creds', ['decrypt', `--name=${name}`, '-', '-'], { input: blob, encoding: 'utf8' }).stdout;
    const name = `cio_${set}_backup_password`;
    assert.equal(decrypt(name, await harness.succeed(['get', name, '-o', 'systemd-creds'])), PASSWORD);
    const lines = await harness.succeed(['get', set, '-o', 'systemd-creds']);
    assert.equal(lines.match(/^SetCredentialEncrypted=cio_\S+: \S+$/gm)?.length, 4);
    assert.ok(!lines.includes('HOME'));
    const [, blob = ''] = new RegExp(`^SetCredentialEncrypted=${name}: (.*)$`, 'm').exec(lines) ?? [];
    assert.equal(decrypt(name, blob), PASSWORD);
  });

  it('fails for unknown forms, for unknown sets and for sets that the form cannot express', async () => {
    const set = await harness.storeSet();
    assert.match(await harness.fail(EXIT.usage, ['get', set, '-o', 'nonsense']), /Hint: the forms are yaml, json, env/);
    await harness.fail(EXIT.notFound, ['get', set, '-o', 'yaml', '--version', '1']);
    const loose = await harness.store('value');
    for (const words of [
      ['get', loose, '-o', 'env'],
      ['exec', loose, '--', 'true'],
      ['aws-config', loose],
    ]) {
      assert.match(await harness.fail(EXIT.notFound, words), / is a single credential, not a set\nHint: .* get prints/);
    }
    const ofMember = await harness.fail(EXIT.notFound, ['env', `cio_${set}_access_key`]);
    assert.match(ofMember, new RegExp(`_access_key is a single credential, not a set\nHint: its set is ${set}\n`));
    await harness.fail(EXIT.usage, ['get', set, '-o', 'env', '--version', '1']);
    for (const form of ['yaml', 'json', 'env', 'rclone'])
      await harness.fail(EXIT.notFound, ['get', 'nothing', '-o', form]);
    const { code, stdout } = await harness.run(['get', set, '-o', 'env', '--json']);
    assert.deepEqual([code, stdout.includes('PW')], [EXIT.usage, false]);
    const identity = await harness.storeSet({ use_iam: 'true' });
    assert.match(await harness.fail(EXIT.invalid, ['get', identity, '-o', 'aws']), /has no form aws/);
    assert.match(
      await harness.fail(EXIT.invalid, ['get', await harness.storeSet({ secret_key: '`a"""b' }), '-o', 'rclone']),
      /_secret_key is not valid/,
    );
  });

  it('is required for the name of a set', async () => {
    const set = await harness.storeSet();
    assert.match(await harness.fail(EXIT.usage, ['get', set]), / is a set\nHint: in which form\? .* -o yaml\|json\|/);
    assert.match(await harness.fail(EXIT.usage, ['get', set, '--version', '2']), / is a set\nHint: in which form\? /);
    await harness.fail(EXIT.notFound, ['get', 'no-such-set']);
    // A credential with the name of a set takes precedence.
    await harness.store('value', set);
    assert.match(await harness.fail(EXIT.notFound, ['get', set, '--version', '2']), /: version 2 of .* not found\n/);
  });

  it('names the field that is not text', async (t) => {
    const members = [{ name: 'cio_aws_secret_key', field: 'secret_key', data: '/w==', version: 1 }];
    const reply = {
      set: 'aws',
      uuid: 'u',
      provider: 'aws',
      owner: 0,
      generation: 1,
      ready: true,
      missing: [],
      members,
    };
    const peer = await Peer.onCalls(t, (_call, socket) => socket.write(message({ parameters: reply })));
    const told = await harness.fail(EXIT.invalid, ['get', 'aws', '-o', 'rclone'], { socketPath: peer.path });
    assert.match(told, /the value of cio_aws_secret_key is not valid: it is not UTF-8 text/);
  });
});
