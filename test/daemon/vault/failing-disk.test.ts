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
import { run, until } from '../../support/process.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import { FailingDisk, failingDisks } from '../store/failing-disk.ts';

const VALUE = 'value '.repeat(500);
/** More writes than fit into the space that the file system had allocated before the disk failed. */
const WRITES_MAX = 500;
const MOVED_TIMEOUT_MS = 10_000;
const REPOSITORY = path.join(import.meta.dirname, '..', '..', '..');
/** A program that tries a WAL checkpoint, prints the error code and kills itself. */
const MOVE_AND_DIE = `
  const database = require('better-sqlite3')(process.argv[1]);
  try {
    database.pragma('wal_checkpoint');
  } catch (error) {
    require('node:fs').writeSync(1, error.code);
  }
  process.kill(process.pid, 'SIGKILL');
`;

async function start(t: TestContext, disk: FailingDisk): Promise<{ daemon: Daemon; client: CredentialClient }> {
  const daemon = await startDaemon(t, { stateDirectory: path.join(disk.directory, 'state') });
  const client = await connect({ socket: daemon.socketPath });
  t.after(() => client.close());
  return { daemon, client };
}

/** Tells whether the credential was stored. Any other error than one of the disk fails the test. */
async function stores(client: CredentialClient, name: string): Promise<boolean> {
  try {
    await client.call('Create', { credentials: [{ name, value: VALUE }] });
    return true;
  } catch (error) {
    // When the disk below has less room than it reports, the kernel returns EIO where a new file is synced.
    const isOfDisk = isCredentialError(error, 'StorageFailed') && error.fields.reason === 'io';
    assert.ok(isOfDisk || isCredentialError(error, 'StorageFull'), String(error));
    return false;
  }
}

/** Stores credentials with numbered names until the disk refuses one. */
async function keepUntilRefused(
  client: CredentialClient,
  name: string,
  keep: (client: CredentialClient, name: string) => Promise<boolean>,
): Promise<void> {
  let index = 0;
  while (index < WRITES_MAX && (await keep(client, `${name}-${index}`))) index += 1;
  assert.ok(index < WRITES_MAX, 'the disk takes everything');
}

async function assertKept(client: CredentialClient, names: readonly string[]): Promise<void> {
  for (const name of names) assert.equal((await client.call('Get', { name })).value, VALUE, name);
  assert.deepEqual((await client.call('Fsck', {})).problems, []);
}

describe('a store on a disk whose fsync fails', { skip: skipUnless(root, failingDisks) }, () => {
  it('has every acknowledged write from before, between and after two failures, even if the daemon is killed after them', async (t) => {
    const disk = new FailingDisk(t);
    const acknowledged: string[] = [];
    const keep = async (client: CredentialClient, name: string): Promise<boolean> => {
      const isStored = await stores(client, name);
      if (isStored) acknowledged.push(name);
      return isStored;
    };
    const first = await start(t, disk);
    assert.ok(await keep(first.client, 'before'));
    disk.fail();
    await keepUntilRefused(first.client, 'failing', keep);
    disk.work();
    assert.ok(await keep(first.client, 'between'));
    disk.fail();
    // The WAL now ends with the refused commits.
    await keepUntilRefused(first.client, 'failing-again', keep);
    await first.daemon.service.stop('SIGKILL');
    disk.work();

    const second = await start(t, disk);
    assert.equal(fs.statSync(path.join(disk.directory, 'state', 'credentials.db-wal')).size, 0);
    for (let index = 0; index < 20; index += 1) assert.ok(await keep(second.client, `after-${index}`));
    await second.daemon.service.stop('SIGKILL');
    disk.forget();

    const third = await start(t, disk);
    await assertKept(third.client, acknowledged);
  });

  it('has a write on the disk that was acknowledged after the disk recovered, over the frames of failed commits', async (t) => {
    const disk = new FailingDisk(t);
    const first = await start(t, disk);
    assert.ok(await stores(first.client, 'before'));
    disk.fail();
    await keepUntilRefused(first.client, 'failing', stores);
    disk.work();
    assert.ok(await stores(first.client, 'after'));
    // Killed before the checkpoint, which the daemon runs a second after a failure.
    await first.daemon.service.stop('SIGKILL');
    disk.forget();
    const second = await start(t, disk);
    await assertKept(second.client, ['before', 'after']);
  });

  it('has the content of the file on the disk after a checkpoint failed at first', async (t) => {
    const disk = new FailingDisk(t);
    const first = await start(t, disk);
    assert.ok(await stores(first.client, 'before'));
    disk.fail();
    await keepUntilRefused(first.client, 'failing', stores);
    const moves = /the WAL cannot be checkpointed/;
    await until(first.daemon.service, async () => moves.test(first.daemon.log) || undefined, MOVED_TIMEOUT_MS);
    disk.work();
    await first.daemon.stop();
    disk.forget();
    const second = await start(t, disk);
    await assertKept(second.client, ['before']);
  });

  it('has the content of the file on the disk after another process failed a checkpoint and was killed at once', async (t) => {
    const disk = new FailingDisk(t);
    const first = await start(t, disk);
    assert.ok(await stores(first.client, 'before'));
    await first.daemon.service.stop('SIGKILL');
    disk.fail();
    const file = path.join(disk.directory, 'state', 'credentials.db');
    const { stdout, signal } = await run([process.execPath, '-e', MOVE_AND_DIE, file], { cwd: REPOSITORY });
    assert.deepEqual([stdout.toString(), signal], ['SQLITE_IOERR_FSYNC', 'SIGKILL']);
    disk.work();
    const second = await start(t, disk);
    await second.daemon.stop();
    disk.forget();
    const third = await start(t, disk);
    await assertKept(third.client, ['before']);
  });
});
