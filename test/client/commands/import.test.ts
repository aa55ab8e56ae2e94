import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import { EXPORT_FORMAT, EXPORT_VERSION } from '../../../src/export-format.ts';
import { assertUnseen, Canaries } from '../../support/canary.ts';
import { cio } from '../../support/cio.ts';
import { command, root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { quoted, TERMINAL, TerminalProgram } from '../terminal.ts';
import { Harness, newName, newSetName } from './harness.ts';

const harness = await Harness.start({ after });

/** Writes a file with mode 0600, and returns its path. */
function fileWith(scope: { after(run: () => void): void }, name: string, text: string): string {
  const file = path.join(temporaryDirectory(scope), name);
  fs.writeFileSync(file, text, { mode: 0o600 });
  return file;
}

function profile(access: string, secret: string): string {
  return `[default]\naws_access_key_id = ${access}\naws_secret_access_key = ${secret}\n`;
}

describe('cio credential import', () => {
  it('shows with --dry-run what would be stored, without secrets, and stores nothing', async (t) => {
    const canaries = new Canaries();
    const [set, secret] = [newSetName(), canaries.plantWord('secret')];
    const file = fileWith(t, 'credentials', profile('AK', secret));
    const { code, stdout, stderr } = await harness.run(['import', file, '--set', set, '--dry-run']);
    assert.equal(code, EXIT.done, stderr);
    assert.match(
      stdout,
      new RegExp(`${set} +s3 +access_key secret_key\\* .*new; lacks backup_repo backup_password.*credentials, line 1`),
    );
    const json = JSON.parse(await harness.succeed(['import', file, '--set', set, '--dry-run', '--json'])) as {
      sets: { missing: string[] }[];
    };
    assert.deepEqual(json.sets[0]?.missing, ['backup_repo', 'backup_password']);
    assertUnseen(canaries.findIn('output', stdout + stderr));
    assert.equal(await harness.succeed(['list', set]), '');
  });

  it('stores everything in one generation, and reports readable files and what is left to do', async (t) => {
    const set = newSetName();
    const file = fileWith(
      t,
      'env',
      `RESTIC_REPOSITORY='s3:https://m.example.org/b'\nRESTIC_PASSWORD='p w'\nAWS_ACCESS_KEY_ID=A\nAWS_SECRET_ACCESS_KEY=S\nRESTIC_PASSWORD_FILE=/x\n`,
    );
    fs.chmodSync(file, 0o644);
    const { code, stderr } = await harness.run(['import', file, '--set', set]);
    assert.equal(code, EXIT.done, stderr);
    assert.match(
      stderr,
      /Succeed: Import credentials: Set .* saved: backup_repo, backup_password, access_key, secret_key\n/,
    );
    assert.match(stderr, /Not imported: the key RESTIC_PASSWORD_FILE \(.*env, line 5\): it names a file/);
    assert.match(stderr, /Warning: .*env was readable by others \(mode 0644\)/);
    assert.match(stderr, /shred -u/);
    assert.equal(await harness.succeed(['get', `cio_${set}_backup_password`]), 'p w');
    const message = await harness.run(['import', file, '--set', set]);
    assert.equal(message.code, EXIT.alreadyExists);
    await harness.succeed(['import', file, '--set', set, '--replace']);
  });

  it('shows with --dry-run which fields exist already', async (t) => {
    const word = newName().replace('name-', 'again');
    const file = fileWith(t, 'credentials', profile('AK', 'SK').replace('default', word));
    const preview = async (): Promise<Record<string, unknown>[]> =>
      ((await harness.json(['import', file, '--dry-run'])) as { sets: Record<string, unknown>[] }).sets;
    const [before] = await preview();
    assert.deepEqual([before?.['set'], before?.['existing']], [`aws_${word}`, []]);
    await harness.store('AK', `cio_aws_${word}_access_key`);
    assert.deepEqual((await preview())[0]?.['existing'], ['access_key']);
  });

  it('warns only of files with secrets in them', async (t) => {
    const name = newSetName().slice(3);
    const folder = temporaryDirectory(t);
    const [credentials, config] = [path.join(folder, 'credentials'), path.join(folder, 'config')];
    const keys = { access: 'aws_access_key_id = A', secret: 'aws_secret_access_key = S' };
    const both = `${keys.access}\n${keys.secret}`;
    for (const [first, second, told] of [
      [both, 'region = eu-central-1', [credentials]],
      [keys.access, keys.secret, [config]],
      [both, both, [credentials, config]],
    ] as const) {
      fs.writeFileSync(credentials, `[${name}]\n${first}\n`);
      fs.writeFileSync(config, `[profile ${name}]\n${second}\n`);
      for (const file of [credentials, config]) fs.chmodSync(file, 0o644);
      const { code, stderr } = await harness.run(['import', credentials, config, '--replace']);
      assert.equal(code, EXIT.done, stderr);
      const warnings = stderr.matchAll(/^Warning: (.*) was readable by others \(mode 0644\): rotate its keys\.$/gm);
      assert.deepEqual(
        Array.from(warnings, ([, file]) => file),
        told,
      );
      const [, inClear] =
        /^Note: the secrets are still in clear text in (.*)\. Once .* shred -u FILE$/m.exec(stderr) ?? [];
      assert.deepEqual(inClear?.split(', '), told);
    }
    const plain = fileWith(t, 'env', 'RESTIC_REPOSITORY=s3:https://m.example.org/b\n');
    const { code, stderr } = await harness.run(['import', plain, '--set', newSetName()]);
    assert.equal(code, EXIT.done, stderr);
    assert.doesNotMatch(stderr, /in clear/);
  });

  it('stores nothing if anything is wrong, and says where without repeating it', async (t) => {
    const canaries = new Canaries();
    const [good, secret] = [newSetName(), canaries.plantWord('secret')];
    const right = fileWith(t, 'a', `cio_${good}_access_key=A\n`);
    for (const [text, pattern] of [
      [`cio_aws_access_key=\n`, /wrong, line 1: the key cio_aws_access_key has no value/],
      [`A="${secret}\n`, /wrong, line 1: the quote/],
      [`{"aliases": {"x": "${secret}" "y"}}`, /wrong, line 1: it is neither/],
      [`[default]\naws_access_key_id = A\n${secret}\n`, /wrong, line 3: it is neither/],
      [Buffer.from([0x41, 0x3d, 0xff]), /wrong is not UTF-8 text/],
      [Buffer.from(`\ufeffcio_aws_access_key=${secret}\n`, 'utf16le'), /wrong is UTF-16 text: save it as UTF-8/],
      [Buffer.from(`cio_aws_access_key=${secret}\n`, 'utf16le'), /wrong is UTF-16 text: save it as UTF-8/],
      ['', /wrong: it is empty/],
      [profile(`A\u001b${secret}`, 'S'), /\/wrong, line 2: the value of cio_aws_access_key is not valid: it has/],
    ] as const) {
      const wrong = path.join(path.dirname(right), 'wrong');
      fs.writeFileSync(wrong, text, { mode: 0o600 });
      for (const dryRun of [[], ['-n']]) {
        const message = await harness.fail(EXIT.invalid, ['import', right, wrong, ...dryRun]);
        assert.match(message, pattern);
        assertUnseen(canaries.findIn('error', message));
      }
    }
    const lost = await harness.fail(EXIT.failed, ['import', `/nonexistent/${secret}`]);
    assert.match(lost, /cannot open the file \/nonexist…: it does not exist \(ENOENT\)/);
    assertUnseen(canaries.findIn('error', lost));
    assert.equal(await harness.succeed(['list', good]), '');
  });

  it('stores a value that an export has in base64 as text if it is text', async (t) => {
    const [set, name] = [newSetName(), newName()];
    const [key, blob] = ['A\u0001\u0002K', Uint8Array.of(0xff, 0, 10)];
    const entry = (of: string, bytes: string | Uint8Array): object => ({
      name: of,
      data: Buffer.from(bytes as Uint8Array).toString('base64'),
    });
    const document = {
      format: EXPORT_FORMAT,
      version: EXPORT_VERSION,
      created: 1,
      credentials: [
        entry(`cio_${set}_region`, 'eu-central-1'),
        entry(`cio_${set}_backup_password`, key),
        entry(name, blob),
      ],
    };
    const file = path.join(temporaryDirectory(t), 'export.json');
    fs.writeFileSync(file, JSON.stringify(document), { mode: 0o600 });
    await harness.succeed(['import', file]);
    assert.equal(await harness.succeed(['get', `cio_${set}_region`]), 'eu-central-1');
    assert.equal(await harness.succeed(['get', `cio_${set}_backup_password`]), key);
    const { data } = (await harness.json(['get', name])) as { readonly data: string };
    assert.equal(data, Buffer.from(blob).toString('base64'));
    // As text, it must be valid for its field.
    fs.writeFileSync(file, JSON.stringify({ ...document, credentials: [entry(`cio_${set}_access_key`, key)] }));
    assert.match(await harness.fail(EXIT.invalid, ['import', file]), /access_key is not valid: (?!it is not text)/);
  });

  it("says that it may not look into another user's home", { skip: skipUnless(root) }, async (t) => {
    const home = temporaryDirectory(t);
    fs.chmodSync(home, 0o700);
    const words = ['credential', 'import'];
    const env = { HOME: home, CIO_CREDENTIAL_SOCKET: harness.daemon.socketPath };
    const { code, stderr } = await cio(words, { as: { uid: 54_321, gid: 54_321 }, env });
    assert.equal(code, EXIT.invalid, stderr);
    assert.match(stderr, /\nHint: HOME, or a folder in it, is closed to this user; name one/);
  });

  it('says that it does not know where to look without HOME', async () => {
    assert.match(
      await harness.fail(EXIT.invalid, ['import'], { env: { HOME: '' } }),
      /HOME is not set.*\nHint: name one/,
    );
  });

  it('reads standard input, and stores one profile of it as an alternate set', async () => {
    const set = newSetName();
    const stdin = `${profile('A', 'S')}[b]\naws_access_key_id=B\naws_secret_access_key=T\n`;
    await harness.succeed(['import', '-', '--profile', 'b', '--set', set, '--as-alt'], { stdin });
    assert.equal(await harness.succeed(['get', `cio_${set}_alt_secret_key`]), 'T');
  });

  it(
    'reads a file that rclone wrote, and reveals obscured passwords',
    { skip: skipUnless(command('rclone')) },
    async (t) => {
      const home = temporaryDirectory(t);
      const file = path.join(home, 'rclone.conf');
      const rclone = (...words: string[]): Buffer =>
        execFileSync('rclone', ['--config', file, 'config', ...words], {
          env: { ...process.env, HOME: home },
          stdio: 'pipe',
        });
      const name = newSetName();
      rclone(
        'create',
        name,
        's3',
        'provider=Other',
        'access_key_id=A',
        'secret_access_key=S=/+',
        'endpoint=https://m.example.org:9000',
      );
      rclone('create', `${name}c`, 'crypt', `remote=${name}:b`, 'password=tőp "secret"', '--obscure');
      await harness.succeed(['import', file]);
      assert.equal(await harness.succeed(['get', `cio_${name}_secret_key`]), 'S=/+');
      assert.equal(await harness.succeed(['get', `rclone_${name}c_password`]), 'tőp "secret"');
    },
  );

  it('reads files that the AWS command line wrote', { skip: skipUnless(command('aws', 'awscli')) }, async (t) => {
    const home = temporaryDirectory(t);
    const env = {
      ...process.env,
      AWS_CONFIG_FILE: path.join(home, 'config'),
      AWS_SHARED_CREDENTIALS_FILE: path.join(home, 'credentials'),
    };
    const profileName = newSetName().slice(3);
    // Answers its questions for access key, secret key, region and output format.
    const input = 'AKIAIOSFODNN7EXAMPLE\nwJalrXUtnFEMI/K7MDENG\neu-central-1\n\n';
    execFileSync('aws', ['configure', '--profile', profileName], { env, input, stdio: 'pipe' });
    await harness.succeed(['import', env.AWS_SHARED_CREDENTIALS_FILE, env.AWS_CONFIG_FILE]);
    assert.equal(await harness.succeed(['get', `cio_aws_${profileName}_secret_key`]), 'wJalrXUtnFEMI/K7MDENG');
    assert.equal(await harness.succeed(['get', `cio_aws_${profileName}_region`]), 'eu-central-1');
  });

  it('searches the usual places without PATH, and asks before it stores', { skip: skipUnless(TERMINAL) }, async (t) => {
    const home = temporaryDirectory(t);
    const name = newSetName();
    fs.mkdirSync(path.join(home, '.mc'));
    const alias = { url: 'https://m.example.org', accessKey: 'A', secretKey: 'S', path: 'auto' };
    fs.writeFileSync(path.join(home, '.mc', 'config.json'), JSON.stringify({ aliases: { [name]: alias } }), {
      mode: 0o600,
    });
    assert.match(await harness.succeed(['import', '--dry-run'], { env: { HOME: home } }), new RegExp(`minio_${name} `));
    const { code } = await harness.run(['import'], { env: { HOME: home } });
    assert.equal(code, EXIT.usage);
    const line = [...harness.built, 'credential', 'import'].map(quoted).join(' ');
    const program = new TerminalProgram(t, line, { CIO_CREDENTIAL_SOCKET: harness.daemon.socketPath, HOME: home });
    await program.shows('Store these? [y/N]');
    program.type('y\r');
    assert.equal(await program.exit(), EXIT.done, program.screen);
    assert.equal(await harness.succeed(['get', `cio_minio_${name}_secret_key`]), 'S');
    assert.match(
      await harness.fail(EXIT.invalid, ['import'], { env: { HOME: '/nonexistent' } }),
      /no file with credentials/,
    );
  });
});
