import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { connect } from '../../../client/index.ts';
import type { CredentialClient } from '../../../client/index.ts';
import { isCredentialError } from '../../../src/errors.ts';
import { startDaemon } from '../../support/daemon.ts';
import type { Daemon } from '../../support/daemon.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import { FailingDisk, failingDisks } from '../store/failing-disk.ts';

const VALUE = 'value '.repeat(500);
/** More writes than find room in what the disk had taken for its own before it failed. */
const WRITES_MAX = 500;

async function start(t: TestContext, disk: FailingDisk): Promise<{ daemon: Daemon; client: CredentialClient }> {
  const daemon = await startDaemon(t, { stateDirectory: path.join(disk.directory, 'state') });
  const client = await connect({ socket: daemon.socketPath });
  t.after(() => client.close());
  return { daemon, client };
}

/** Whether it was stored; another answer than that of the disk's is none. */
async function stores(client: CredentialClient, name: string): Promise<boolean> {
  try {
    await client.call('Create', { credentials: [{ name, value: VALUE }] });
    return true;
  } catch (error) {
    // Of a disk that has no more room below than it says, the system says so where a new file is synced.
    const isOfDisk = isCredentialError(error, 'StorageFailed') && error.fields.reason === 'io';
    assert.ok(isOfDisk || isCredentialError(error, 'StorageFull'), String(error));
    return false;
  }
}

describe('a store on a disk whose syncs fail', { skip: skipUnless(root, failingDisks) }, () => {
  it('has all that was acknowledged before, between and after, and when the daemon was killed by then', async (t) => {
    const disk = new FailingDisk(t);
    const acknowledged: string[] = [];
    const keep = async (client: CredentialClient, name: string): Promise<boolean> => {
      const isStored = await stores(client, name);
      if (isStored) acknowledged.push(name);
      return isStored;
    };
    const keepUntilRefused = async (client: CredentialClient, name: string): Promise<void> => {
      let index = 0;
      while (index < WRITES_MAX && (await keep(client, `${name}-${index}`))) index += 1;
      assert.ok(index < WRITES_MAX, 'the disk takes everything');
    };
    const first = await start(t, disk);
    assert.ok(await keep(first.client, 'before'));
    disk.fail();
    await keepUntilRefused(first.client, 'failing');
    disk.work();
    assert.ok(await keep(first.client, 'between'));
    disk.fail();
    // What was refused is what the journal ends with.
    await keepUntilRefused(first.client, 'failing-again');
    await first.daemon.service.stop('SIGKILL');
    disk.work();

    const second = await start(t, disk);
    assert.equal(fs.statSync(path.join(disk.directory, 'state', 'credentials.db-wal')).size, 0);
    for (let index = 0; index < 20; index += 1) assert.ok(await keep(second.client, `after-${index}`));
    await second.daemon.service.stop('SIGKILL');
    disk.forget();

    const third = await start(t, disk);
    for (const name of acknowledged) assert.equal((await third.client.call('Get', { name })).value, VALUE, name);
    assert.deepEqual((await third.client.call('Fsck', {})).problems, []);
  });
});
