import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { assertUnseen, Canaries } from '../support/canary.ts';
import { cio, CIO_LAUNCHER } from '../support/cio.ts';
import type { CioOptions, CioResult } from '../support/cio.ts';
import { startDaemon } from '../support/daemon.ts';
import { command, skipUnless } from '../support/requirements.ts';
import { S3_SERVER, startS3Server } from '../support/s3-server.ts';
import type { S3User } from '../support/s3-server.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const skip = skipUnless(...S3_SERVER, command('restic'), command('rclone'), command('aws', 'awscli'));

/** One attempt each, so that a failure shows at once. */
const RCLONE = ['rclone', '--retries=1', '--low-level-retries=1', '--contimeout=5s'];

test('restic backs up to an S3 server through `cio credential exec`', { skip }, async (t) => {
  const canaries = new Canaries();
  const primary = newUser(canaries, 'primary');
  const alternate = newUser(canaries, 'alternate');
  const server = await startS3Server(t, [primary, alternate]);
  const daemon = await startDaemon(t);

  const directory = temporaryDirectory(t);
  const source = path.join(directory, 'source');
  makeFiles(source);
  const temporaryFiles = path.join(directory, 'tmp');
  fs.mkdirSync(temporaryFiles);

  /** Everything that `cio` printed. */
  const printed: string[] = [];
  const run = async (args: readonly string[], options: CioOptions = {}): Promise<CioResult> => {
    const env = { HOME: directory, TMPDIR: temporaryFiles };
    const result = await cio(args, { command: CIO_LAUNCHER, socketPath: daemon.socketPath, env, ...options });
    printed.push(result.stdout, result.stderr);
    return result;
  };
  const succeed = async (args: readonly string[], options: CioOptions = {}): Promise<string> => {
    const { code, stdout, stderr } = await run(args, options);
    assert.equal(code, 0, `cio ${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  };
  const exec = (set: string, ...words: readonly string[]): Promise<string> =>
    succeed(['credential', 'exec', set, '--', ...words]);

  const save = async (set: string, user: S3User, repository: string, password: string): Promise<void> => {
    await succeed(['credential', 'create', `cio_${set}_backup_repo`, repository]);
    await succeed(['credential', 'create', `cio_${set}_access_key`, user.accessKey]);
    await succeed(['credential', 'create', `cio_${set}_secret_key`], { stdin: `${user.secretKey}\n` });
    await succeed(['credential', 'create', `cio_${set}_backup_password`], { stdin: `${password}\n` });
  };

  const buckets = { aws: 'backup-123', aws_alt: 'backup-456' };
  await t.test('`create` stores the four credentials of a set, for the primary and the alternate', async () => {
    await save('aws', primary, `s3:${server.endpoint}/${buckets.aws}`, canaries.plant('primary password'));
    await save(
      'aws_alt',
      alternate,
      `s3:${server.endpoint}/${buckets.aws_alt}/below`,
      canaries.plant('alternate password'),
    );
  });

  for (const set of ['aws', 'aws_alt'] as const) {
    await t.test(`restic initializes, backs up, checks and restores with the set ${set}`, async () => {
      assert.match(await exec(set, 'restic', 'init'), /created restic repository/);
      await exec(set, 'restic', 'backup', source);
      assert.match(await exec(set, 'restic', 'check', '--read-data'), /no errors were found/);
      const target = path.join(directory, `restored-${set}`);
      await exec(set, 'restic', 'restore', 'latest', '--target', target);
      assert.deepEqual(readFiles(path.join(target, source)), readFiles(source));
    });

    await t.test(`rclone finds the bucket in the remote named ${set}`, async () => {
      assert.equal(await exec(set, ...RCLONE, 'lsf', `${set}:`), `${buckets[set]}/\n`);
      const prefix = set === 'aws_alt' ? '/below' : '';
      assert.match(await exec(set, ...RCLONE, 'lsf', `${set}:${buckets[set]}${prefix}`), /^snapshots\/$/m);
    });

    await t.test(`the AWS command line lists the bucket with the keys of ${set}`, async () => {
      // Debian's version predates AWS_ENDPOINT_URL_S3, which later versions read from the environment.
      const listed = await exec(set, 'aws', '--endpoint-url', server.endpoint, 's3', 'ls', `s3://${buckets[set]}`);
      assert.match(listed, /PRE (?:snapshots|below)\//);
    });
  }

  await t.test('each set opens only its own repository', async () => {
    const foreign = ['restic', '-r', `s3:${server.endpoint}/${buckets.aws}`, 'snapshots'];
    const { code, stderr } = await run(['credential', 'exec', 'aws_alt', '--', ...foreign]);
    assert.equal(code, 1);
    assert.match(stderr, /Access ?Denied|access denied/i);
  });

  await t.test('the server refuses a wrong secret key, and accepts the old one after a rollback', async () => {
    await succeed(['credential', 'create', 'cio_aws_secret_key', '--replace'], { stdin: canaries.plantWord('wrong') });
    const { code, stderr } = await run(['credential', 'exec', 'aws', '--', 'restic', 'snapshots']);
    assert.equal(code, 1);
    assert.match(stderr, /signature we calculated does not match/);
    await succeed(['credential', 'rollback', 'cio_aws_secret_key']);
    assert.match(await exec('aws', 'restic', 'snapshots'), /1 snapshots/);
  });

  await t.test("`exec` puts no secret into the command's arguments, and passes its exit code on", async () => {
    assert.equal(await exec('aws', 'cat', '/proc/self/cmdline'), 'cat\0/proc/self/cmdline\0');
    const { code } = await run(['credential', 'exec', 'aws', '--', 'restic', 'no-such-command']);
    assert.equal(code, 1);
  });

  await t.test('no secret is in a list, log, file, argument or environment', async () => {
    for (const args of [
      ['list'],
      ['list', '--json'],
      ['status'],
      ['status', '--json'],
      ['history', 'cio_aws_secret_key'],
    ]) {
      await succeed(['credential', ...args]);
    }
    assertUnseen(canaries.findIn('the output of cio', printed.join('\n')));
    assertUnseen(canaries.findInProcess(daemon.pid));
    assertUnseen(canaries.findInFiles(daemon.runtimeDirectory));
    assertUnseen(canaries.findInFiles(directory));
  });

  await t.test("the daemon's files show no secret, name or public value, running or stopped", async () => {
    canaries.add('repository', `s3:${server.endpoint}/${buckets.aws}`);
    canaries.add('access key', primary.accessKey);
    const names = new Canaries();
    for (const name of ['cio_aws_backup_repo', 'cio_aws_secret_key', 'cio_aws_alt_backup_password']) {
      names.add(name, name);
    }
    const store = path.join(daemon.stateDirectory, 'credentials.db');
    assert.ok(fs.statSync(store).size > 0);
    for (const planted of [canaries, names]) assertUnseen(planted.findInFiles(daemon.stateDirectory));
    await daemon.stop();
    for (const planted of [canaries, names]) assertUnseen(planted.findInFiles(daemon.stateDirectory));
    // The log may name a credential, for example in a command that it suggests.
    assertUnseen(canaries.findIn('the log of the daemon', daemon.log));
  });
});

function newUser(canaries: Canaries, name: string): S3User {
  const secretKey = canaries.add(
    `${name} secret key`,
    `${randomBytes(15).toString('base64')}/+${randomBytes(9).toString('base64')}`,
  );
  return { name, accessKey: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`, secretKey };
}

/** Makes files of many kinds: empty, big, binary, with odd names, a link, an executable. */
function makeFiles(directory: string): void {
  fs.mkdirSync(path.join(directory, 'inner', 'empty folder'), { recursive: true });
  fs.writeFileSync(path.join(directory, 'empty'), '');
  fs.writeFileSync(path.join(directory, 'big'), randomBytes(3_000_000));
  fs.writeFileSync(path.join(directory, 'inner', 'name with "quotes" and ümlauts'), 'text\n');
  fs.writeFileSync(path.join(directory, 'inner', 'run'), '#!/bin/sh\n', { mode: 0o750 });
  fs.symlinkSync('../big', path.join(directory, 'inner', 'link'));
}

/** Everything below a folder, by path: the mode, and the content or the link's target. */
function readFiles(directory: string): Map<string, unknown> {
  return new Map(
    fs.readdirSync(directory, { recursive: true, withFileTypes: true }).map((entry) => {
      const file = path.join(entry.parentPath, entry.name);
      const { mode } = fs.lstatSync(file);
      const content = entry.isSymbolicLink()
        ? fs.readlinkSync(file)
        : entry.isFile()
          ? fs.readFileSync(file)
          : 'folder';
      return [path.relative(directory, file), { mode, content }];
    }),
  );
}
