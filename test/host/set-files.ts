import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Canaries } from '../support/canary.ts';
import { cioSucceeds, grant } from './support/cio.ts';
import { Consumer } from './support/consumer.ts';
import type { Machine } from './support/machine.ts';

/** A whole set loaded as one credential, read by the programs that each format is for. */
export function setFiles(machine: Machine, canaries: Canaries): void {
  const password = `${canaries.plant('set file password')} 'single' "double" $HOME \`id\` \\n # ; !`;
  const secretKey = canaries.plantWord('set file secret key');
  const fields = {
    backup_repo: 's3:http://192.168.1.100:9001/cio-backup-bucket',
    access_key: 'AKIAYHD623GGZX7VDFMJ',
    secret_key: secretKey,
    backup_password: password,
  };
  const file = async (form: string): Promise<string> => {
    const unit = `files-${form}.service`;
    await grant(machine, 's3_files', '--unit', unit);
    const consumer = await Consumer.make(machine, unit, { loads: [`s3_files.${form}`] });
    const outcome = await consumer.start();
    const received = await consumer.received();
    await consumer.assertGot(outcome, received);
    await machine.writeFile(`/run/received/${form}`, received, '0600');
    return `/run/received/${form}`;
  };
  const variables = {
    RESTIC_REPOSITORY: fields.backup_repo,
    RESTIC_PASSWORD: password,
    AWS_ACCESS_KEY_ID: fields.access_key,
    AWS_SECRET_ACCESS_KEY: secretKey,
  };
  const pick = (environment: string): Record<string, string> => {
    const all = environment
      .split('\0')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
    return Object.fromEntries(all.filter(([name = '']) => Object.hasOwn(variables, name))) as Record<string, string>;
  };

  test('the set for the following tests is stored', async () => {
    for (const [field, value] of Object.entries(fields)) {
      await cioSucceeds(machine, ['create', `cio_s3_files_${field}`], { input: value });
    }
  });

  test('`.env` means the same to sh and to EnvironmentFile=, whatever characters the password has', async () => {
    const path = await file('env');
    assert.deepEqual(pick(await machine.shell('set -a; . "$1"; exec env --null', path)), variables);
    const unit = ['systemd-run', '--quiet', '--pipe', '--wait', `--property=EnvironmentFile=${path}`];
    assert.deepEqual(pick(await machine.succeed([...unit, 'env', '--null'])), variables);
  });

  test("`.json` is one object with the set's fields", async () => {
    const text = (await machine.readFile(await file('json'))).toString();
    assert.deepEqual(JSON.parse(text), fields);
  });

  test('`.aws` gives the AWS command line its keys', async () => {
    const path = await file('aws');
    for (const [name, value] of [
      ['aws_access_key_id', fields.access_key],
      ['aws_secret_access_key', secretKey],
    ] as const) {
      const command = ['aws', 'configure', 'get', name, '--profile', 'default'];
      const env = { AWS_SHARED_CREDENTIALS_FILE: path, AWS_CONFIG_FILE: '/nonexistent' };
      assert.equal(await machine.succeed(command, { env }), `${value}\n`);
    }
  });

  test('incomplete sets, and sets of which only one field is granted, are refused as files', async () => {
    await cioSucceeds(machine, ['create', 'cio_s3_half_access_key', 'AKIAYHD623GGZX7VDFMJ']);
    await grant(machine, 's3_half', '--unit', 'half.service');
    for (const form of ['env', 'json', 'aws']) {
      await (await Consumer.make(machine, 'half.service', { loads: [`s3_half.${form}`] })).assertRefused();
    }
    await grant(machine, 'cio_s3_files_access_key', '--unit', 'one.service');
    await (await Consumer.make(machine, 'one.service', { loads: ['s3_files.env'] })).assertRefused();
  });

  test('a unit waits for a set until its last field is stored', async () => {
    await grant(machine, 's3_half', '--unit', 'waits.service', '--missing', 'block');
    const consumer = await Consumer.make(machine, 'waits.service', { loads: ['s3_half.json'] });
    await consumer.begin();
    for (const field of ['backup_repo', 'secret_key', 'backup_password'] as const) {
      await cioSucceeds(machine, ['create', `cio_s3_half_${field}`], { input: fields[field] });
    }
    const outcome = await consumer.end();
    await consumer.assertGot(outcome, await consumer.received());
    assert.deepEqual(JSON.parse((await consumer.received()).toString()), fields);
  });
}
