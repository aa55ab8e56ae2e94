import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { EXIT } from '../../src/errors.ts';
import { Harness } from '../client/commands/harness.ts';
import { quoted } from '../client/terminal.ts';
import { MINIO_SERVER, startMinioServer } from '../support/minio-server.ts';
import { plainEnvironment, run } from '../support/process.ts';
import { command, skipUnless } from '../support/requirements.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const skip = skipUnless(...MINIO_SERVER, command('restic'), command('aws', 'awscli'));

/** A program that uses the AWS SDK for JavaScript. */
const SDK_CLIENT = [process.execPath, path.join(import.meta.dirname, 'clients', 'list-buckets.mjs')];

test('AWS tools fetch their keys from the daemon themselves', { skip }, async (t) => {
  const harness = await Harness.start(t);
  const server = await startMinioServer(t, 'us-east-1');
  const directory = temporaryDirectory(t);
  const secretName = 'cio_minio_secret_key';
  await harness.store(`s3:${server.endpoint}/backup`, 'cio_minio_backup_repo');
  await harness.store(server.accessKey, 'cio_minio_access_key');
  await harness.store(server.secretKey, secretName);
  await harness.store('password', 'cio_minio_backup_password');
  fs.writeFileSync(
    path.join(directory, 'cio'),
    `#!/bin/sh\nunset AWS_CONFIG_FILE\nexec ${harness.built.map(quoted).join(' ')} "$@"\n`,
    { mode: 0o755 },
  );

  /** No address of the daemon: tools get that from the profiles or from `exec`. */
  const environment: Record<string, string> = {
    ...plainEnvironment(),
    PATH: `${directory}:/usr/bin:/bin`,
    HOME: directory,
    AWS_EC2_METADATA_DISABLED: 'true',
    S3_ENDPOINT: server.endpoint,
  };
  const aws = ['aws', '--endpoint-url', server.endpoint, '--region', 'us-east-1', 's3'];
  const execServed = (...words: readonly string[]): ReturnType<Harness['run']> =>
    harness.run(['exec', 'minio', '--server', '--', ...words], { env: environment });
  await harness.succeed(['exec', 'minio', '--', ...aws, 'mb', 's3://backup']);

  const profiles = path.join(directory, 'profiles');
  const asked = await harness.succeed(['aws-config', 'minio', '--socket', harness.daemon.socketPath], {
    env: environment,
  });
  fs.writeFileSync(profiles, asked);
  const asProfile = { ...environment, AWS_PROFILE: 'minio', AWS_CONFIG_FILE: profiles };

  await t.test('`aws-config` prints no secret', () => {
    assert.match(
      asked,
      /^\[profile minio\]\ncredential_process = \S+\/cio credential credential-process minio --socket=\S+$/m,
    );
    assert.ok(!asked.includes(server.secretKey) && !asked.includes(server.accessKey));
  });

  await t.test('the AWS command line gets keys by credential_process in its config', async () => {
    const { stdout, stderr } = await run([...aws, 'ls'], { env: asProfile });
    assert.match(stdout.toString(), / backup\n/, stderr);
  });

  await t.test('the AWS SDK for JavaScript gets keys by credential_process in its config', async () => {
    const { stdout, stderr } = await run(SDK_CLIENT, { env: asProfile });
    assert.equal(stdout.toString(), 'backup\n', stderr);
  });

  await t.test('restic gets keys by credential_process in the shared credentials file', async () => {
    const env = {
      ...environment,
      AWS_PROFILE: 'minio',
      AWS_SHARED_CREDENTIALS_FILE: profiles,
      RESTIC_REPOSITORY: `s3:${server.endpoint}/backup`,
      RESTIC_PASSWORD_COMMAND: `cio credential get cio_minio_backup_password --socket ${harness.daemon.socketPath}`,
    };
    const { stdout, stderr } = await run(['restic', 'init'], { env });
    assert.match(stdout.toString(), /created restic repository/, stderr);
  });

  await t.test('the AWS command line gets keys from the endpoint of `exec --server`', async () => {
    const { stdout, stderr } = await execServed(...aws, 'ls');
    assert.match(stdout, / backup\n/, stderr);
  });

  await t.test(
    "restic gets keys from the endpoint of `exec --server`, whatever keys the user's own files have",
    async () => {
      for (const [folder, file, text] of [
        ['.aws', 'credentials', '[default]\naws_access_key_id = WRONG\naws_secret_access_key = WRONG\n'],
        ['.mc', 'config.json', '{"version":"10","aliases":{"s3":{"accessKey":"WRONG","secretKey":"WRONG"}}}'],
      ] as const) {
        fs.mkdirSync(path.join(directory, folder));
        fs.writeFileSync(path.join(directory, folder, file), text);
      }
      const { stdout, stderr } = await execServed('restic', 'snapshots', '--json');
      assert.equal(stdout.trim(), '[]', stderr);
      assert.match((await execServed(...aws, 'ls')).stdout, / backup\n/);
    },
  );

  await t.test('the SDK for JavaScript gets a rotated key from `exec --server` while the command runs', async (t) => {
    await harness.store('not-the-key-of-this-server', secretName);
    const words = ['credential', 'exec', 'minio', '--server', '--', ...SDK_CLIENT];
    const [file = '', ...args] = [...harness.built, ...words];
    const child = spawn(file, args, {
      env: { ...environment, ...harness.environment, HOME: directory },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.after(() => child.kill('SIGKILL'));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    assert.equal((await lines.next()).value, 'SignatureDoesNotMatch');
    await harness.store(server.secretKey, secretName);
    child.stdin.write('\n');
    assert.equal((await lines.next()).value, 'backup');
    child.stdin.end();
    const code = await new Promise((resolve) => child.once('close', resolve));
    assert.equal(code, EXIT.done);
  });

  await t.test('`exec --server` puts no key into the environment of its command', async () => {
    const { stdout } = await execServed('env');
    assert.match(stdout, /^AWS_CONTAINER_CREDENTIALS_FULL_URI=http:\/\/127\.0\.0\.1:\d+\/credentials$/m);
    assert.match(stdout, /^RCLONE_CONFIG_MINIO_ENV_AUTH=true$/m);
    assert.ok(!stdout.includes(server.secretKey) && !stdout.includes(server.accessKey), stdout);
  });
});
