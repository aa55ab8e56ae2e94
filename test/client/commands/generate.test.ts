import assert from 'node:assert/strict';
import path from 'node:path';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import { run, runSuccessfully } from '../../support/process.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { quoted } from '../terminal.ts';
import { Harness, newName } from './harness.ts';

const harness = await Harness.start({ after });

describe('cio credential generate', () => {
  it('reports that it stored a password, without showing it', async () => {
    const name = newName();
    const { code, stdout, stderr } = await harness.run(['generate', name]);
    assert.deepEqual([code, stdout], [EXIT.done, '']);
    assert.match(stderr, /^Succeed: Generate credential: Credential name-\S+ saved \(185 bits\)\n$/);
    const value = await harness.succeed(['get', name]);
    assert.match(value, /^[A-Za-z2-9]{32}$/);
    assert.ok(!stderr.includes(value));
  });

  it('prints the password with --show, and in the document with --json', async () => {
    const [words, letters] = [newName(), newName()];
    const shown = await harness.succeed(['generate', words, '--words', '7', '--show']);
    assert.equal(shown, `${await harness.succeed(['get', words])}\n`);
    assert.equal(shown.split('-').length, 7);
    const reply = await harness.json(['generate', letters, '--length', '64', '--show']);
    const value = await harness.succeed(['get', letters]);
    assert.deepEqual(reply, { name: letters, version: 1, generation: 4 - 1, value, bits: 371 });
    assert.ok(!('value' in ((await harness.json(['generate', letters, '--replace'])) as object)));
  });

  it('reports that it stored a password which it could not print', async (t) => {
    // A FIFO without a reader: the last descriptor that could read it is closed before the command starts.
    const withoutReader = 'mkfifo "$0"; exec 4<>"$0" 3>"$0" 4<&-; exec "$@" >&3';
    for (const [line, why] of [
      ['exec "$@" > /dev/full', /the disk is full/],
      [withoutReader, /the reader of standard output has gone/],
    ] as const) {
      const name = newName();
      const pipe = path.join(temporaryDirectory(t), 'pipe');
      const words = ['/bin/sh', '-c', line, pipe, ...harness.built, 'credential', 'generate', name, '--show'];
      const { code, stderr } = await run(words, { env: harness.environment });
      assert.equal(code, EXIT.failed, stderr);
      assert.match(stderr, why);
      assert.match(stderr, new RegExp(`${name} was saved all the same\nHint: cio credential get ${name} shows it\n$`));
      assert.equal((await harness.succeed(['get', name])).length, 32);
    }
  });

  it('refuses the name of a set, which a credential would hide, and suggests the member', async () => {
    const offsite = newName();
    await harness.store('s3', `cio_${offsite}_provider`);
    for (const set of ['aws', 'minio_alt', 'aws_site2', await harness.storeSet(), offsite]) {
      for (const options of [[], ['--replace']]) {
        const told = await harness.fail(EXIT.usage, ['generate', set, ...options]);
        assert.match(told, new RegExp(`${set} is the name of a set\nHint: .* generate cio_${set}_backup_password\n$`));
      }
    }
    assert.match(await harness.fail(EXIT.usage, ['generate', 'alt_aws']), /generate cio_aws_alt_backup_password\n$/);
    // The name of a member is no set's, nor is that of an existing credential.
    await harness.succeed(['generate', `cio_${offsite}_backup_password`]);
    await harness.succeed(['generate', await harness.store('value', 'aws_token'), '--replace']);
  });

  it('refuses existing names, weak lengths and contradictory options', async () => {
    const name = await harness.store('mine');
    await harness.fail(EXIT.alreadyExists, ['generate', name]);
    assert.match(await harness.fail(EXIT.invalid, ['generate', newName(), '--length', '15']), /16 to 1024 characters/);
    assert.match(await harness.fail(EXIT.invalid, ['generate', newName(), '--words', '4']), /5 to 64 words/);
    await harness.fail(EXIT.usage, ['generate', newName(), '--words', '5', '--length', '20']);
    await harness.fail(EXIT.usage, ['generate']);
    assert.equal(await harness.succeed(['get', name]), 'mine');
  });

  it(
    'makes passwords that restic reads the same from a command and from its environment',
    { skip: skipUnless(command('restic')) },
    async (t) => {
      for (const option of [
        ['--words', '5'],
        ['--length', '24'],
      ]) {
        const name = newName();
        await harness.succeed(['generate', name, ...option]);
        const repository = path.join(temporaryDirectory(t), 'repository');
        const words = `${harness.built.map(quoted).join(' ')} credential get ${name}`;
        const env = { ...harness.environment, RESTIC_REPOSITORY: repository, HOME: temporaryDirectory(t) };
        await runSuccessfully(['restic', 'init'], { env: { ...env, RESTIC_PASSWORD_COMMAND: words } });
        const value = await harness.succeed(['get', name]);
        await runSuccessfully(['restic', '--no-cache', 'snapshots'], { env: { ...env, RESTIC_PASSWORD: value } });
      }
    },
  );
});
