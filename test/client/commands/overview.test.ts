import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { EXIT } from '../../../src/errors.ts';
import { Harness, REPOSITORY } from './harness.ts';

const harness = await Harness.start({ after });

describe('cio credential', () => {
  it('shows the state and the next step, from an empty store to a complete set', async () => {
    assert.match(await harness.succeed([]), /with 0 credentials\.\n\nNext: {2}cio credential create aws {3}/);
    await harness.succeed(['create', 'cio_aws_backup_repo', REPOSITORY]);
    await harness.succeed(['create', 'cio_aws_access_key', 'AKIAYHD623GGZX7VDFMJ']);
    const partial = await harness.succeed([]);
    assert.match(partial, /with 2 credentials\.\n\nSET +STATE\naws +lacks secret_key, backup_password\n/);
    assert.match(partial, /\nNext: {2}cio credential create cio_aws_secret_key {3}\(aws lacks secret_key, /);
    assert.match(partial, /\nHelp: {2}cio credential --help\n$/);
    await harness.store('canary-secret', 'cio_aws_secret_key');
    await harness.store('canary-password', 'cio_aws_backup_password');
    const whole = await harness.succeed([]);
    assert.match(whole, /\naws +ready, unproved\n\nNext: {2}cio credential validate aws {3}/);
    assert.doesNotMatch(whole, /canary|AKIA|s3:/);
  });

  it('prints the same as one document with --json', async () => {
    const shown = (await harness.json([])) as {
      readonly daemon: object;
      readonly sets: readonly { readonly set: string }[];
      readonly next: object;
    };
    assert.deepEqual(
      shown.sets.map(({ set }) => set),
      ['aws'],
    );
    assert.deepEqual(shown.next, {
      command: 'cio credential validate aws',
      why: 'aws has not been validated since its last change',
    });
    assert.doesNotMatch(JSON.stringify(shown), /canary/);
  });

  it('says how to start a daemon that cannot be reached', async () => {
    const told = await harness.fail(EXIT.notReachable, [], { socketPath: '/nonexistent/socket' });
    assert.match(told, /no daemon: there is no socket .*\nHint: start the daemon: systemctl start/);
  });

  it('says how to open a locked store', async () => {
    await harness.succeed(['lock']);
    assert.match(await harness.succeed([]), /its store is locked\.\n\nNext: {2}cio credential unlock /);
    await harness.succeed(['unlock']);
  });
});
