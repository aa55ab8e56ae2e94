import assert from 'node:assert/strict';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { startApp } from '../../daemon/app.ts';
import { FORMAT_VERSION } from '../../daemon/store/migrations.ts';
import type { App } from '../../daemon/app.ts';
import { HealthRecords } from '../../daemon/health/health-records.ts';
import { createLog } from '../../daemon/log.ts';
import type { Settings } from '../../daemon/settings.ts';
import { SqliteStore } from '../../daemon/store/sqlite-store.ts';
import { startDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { runSuccessfully } from '../support/process.ts';
import { command, root, skipUnless } from '../support/requirements.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { RawVarlink } from '../support/varlink.ts';
import { makeReadOnly, mounting, smallDisk } from './store/small-disk.ts';
import { memoryDirectory } from './vault/memory-directory.ts';
import { TestVault } from './vault/open-vault.ts';
import { contentOf, editFile } from './vault/raw-file.ts';

/** A daemon in this process, and what it logged. */
interface Started {
  readonly app: App;
  readonly log: () => string;
}

/** Starts the parts of a daemon on a state directory, with its own directory for the socket. */
async function start(t: TestContext, stateDirectory: string, settings: Partial<Settings> = {}): Promise<Started> {
  let text = '';
  const log = createLog((line) => void (text += line), false);
  const runtimeDirectory = path.join(temporaryDirectory(t), 'run');
  const places = { stateDirectory, runtimeDirectory, credentialsDirectory: undefined };
  const plain = {
    isPublic: false,
    notifySocket: undefined,
    watchdogMs: undefined,
    validateEveryMs: undefined,
  };
  const app = await startApp({ ...places, ...plain, ...settings }, [], '0.0.0', log);
  t.after(() => app.stop());
  return { app, log: () => text };
}

/** Returns the error of a daemon that does not start. */
async function refusal(t: TestContext, stateDirectory: string, settings: Partial<Settings> = {}): Promise<string> {
  try {
    await start(t, stateDirectory, settings);
  } catch (error) {
    assert.ok(error instanceof Error);
    return `${error.name}: ${error.message}`;
  }
  return assert.fail('it started');
}

async function call(
  t: TestContext,
  { app }: Started,
  method: string,
  parameters: object = {},
): Promise<Record<string, unknown>> {
  const connection = await RawVarlink.connect(t, app.socketPath);
  const { error, parameters: answer } = await connection.call(`io.cio.Credentials.${method}`, parameters);
  assert.equal(error, undefined);
  return answer ?? {};
}

function stateIn(t: TestContext): string {
  return path.join(memoryDirectory(t), 'state');
}

/** Returns the directory of a store that was closed properly. */
async function closedStore(t: TestContext): Promise<string> {
  const made = await TestVault.create(t);
  await made.save('a', 'value');
  await made.close();
  return made.directory;
}

/** Returns the content of a directory except the lock, which stays. */
function keptIn(directory: string): Record<string, string> {
  const { lock: _, ...kept } = contentOf(directory);
  return kept;
}

describe('startApp()', () => {
  it('makes a store and a key file with mode 0600, and logs where they are', async (t) => {
    const daemon = await startDaemon(t);
    const { stateDirectory } = daemon;
    const modes = fs.readdirSync(stateDirectory).map((name) => {
      const { mode } = fs.lstatSync(path.join(stateDirectory, name));
      return `${name} ${(mode & 0o777).toString(8)}`;
    });
    const files = ['credentials.db', 'credentials.db-shm', 'credentials.db-wal', 'lock', 'root.key'];
    assert.deepEqual(
      modes.toSorted(),
      files.map((name) => `${name} 600`),
    );
    assert.equal(fs.statSync(stateDirectory).mode & 0o777, 0o700);
    assert.ok(daemon.log.includes(path.join(stateDirectory, 'root.key')));
    assert.ok(!daemon.log.includes(fs.readFileSync(path.join(stateDirectory, 'root.key'), 'utf8').trim()));
    await daemon.stop();
    assert.deepEqual(fs.readdirSync(stateDirectory).toSorted(), ['credentials.db', 'lock', 'root.key']);
  });

  for (const [how, lose] of [
    ['is gone', (file: string) => fs.rmSync(file)],
    ['is empty', (file: string) => fs.truncateSync(file)],
  ] as const) {
    it(`warns that it made a new store if the old one ${how}, and keeps the old key file`, async (t) => {
      const stateDirectory = stateIn(t);
      const first = await start(t, stateDirectory);
      assert.ok(!first.log().includes('was there before'), first.log());
      await first.app.stop();
      const key = fs.readFileSync(path.join(stateDirectory, 'root.key'));
      lose(path.join(stateDirectory, 'credentials.db'));
      const second = await start(t, stateDirectory);
      assert.match(second.log(), /made a new store.*\n.*warning: its key file existed before/);
      assert.deepEqual(fs.readFileSync(path.join(stateDirectory, 'root.key')), key);
    });
  }

  it('reopens its store and unlocks it', async (t) => {
    const stateDirectory = stateIn(t);
    const first = await start(t, stateDirectory);
    await call(t, first, 'Create', { credentials: [{ name: 'a', value: 'kept' }] });
    await first.app.stop();
    const second = await start(t, stateDirectory);
    assert.equal((await call(t, second, 'Get', { name: 'a' }))['value'], 'kept');
    assert.equal(second.app.isLocked, false);
    assert.ok(!second.log().includes('made'), second.log());
  });

  it('removes the key file that a daemon was about to store when it was killed', async (t) => {
    const stateDirectory = stateIn(t);
    await (await start(t, stateDirectory)).app.stop();
    const keyFile = path.join(stateDirectory, 'root.key');
    fs.linkSync(keyFile, `${keyFile}.0123456789abcdef.tmp`);
    const { app } = await start(t, stateDirectory);
    assert.equal(app.isLocked, false);
    assert.equal(fs.statSync(keyFile).nlink, 1);
  });

  it('restricts the mode of a state directory that others can read', async (t) => {
    const stateDirectory = stateIn(t);
    fs.mkdirSync(stateDirectory, { mode: 0o755 });
    await start(t, stateDirectory);
    assert.equal(fs.statSync(stateDirectory).mode & 0o777, 0o700);
  });

  it('makes nothing if the file system keeps no modes', { skip: skipUnless(root, command('bindfs')) }, async (t) => {
    const stateDirectory = stateIn(t);
    fs.mkdirSync(stateDirectory, { mode: 0o755 });
    await runSuccessfully(['bindfs', '--chmod-ignore', '--perms=0755', stateDirectory, stateDirectory]);
    try {
      assert.match(await refusal(t, stateDirectory), /^StateDirectoryError: .*its file system keeps no modes$/);
    } finally {
      await runSuccessfully(['umount', '-l', stateDirectory]);
    }
    assert.deepEqual(fs.readdirSync(stateDirectory), []);
  });

  it('refuses a state directory that others can write to', async (t) => {
    const stateDirectory = stateIn(t);
    fs.mkdirSync(stateDirectory);
    for (const mode of [0o770, 0o702]) {
      fs.chmodSync(stateDirectory, mode);
      assert.match(await refusal(t, stateDirectory), /^StateDirectoryError: .*fix it with: chmod 700 /);
      assert.deepEqual(fs.readdirSync(stateDirectory), []);
    }
  });

  it("refuses another user's state directory", { skip: skipUnless(root) }, async (t) => {
    const stateDirectory = stateIn(t);
    fs.mkdirSync(stateDirectory, { mode: 0o700 });
    fs.chownSync(stateDirectory, 1234, 1234);
    assert.match(await refusal(t, stateDirectory), /^StateDirectoryError: .*belongs to another user \(uid 1234\)/);
  });

  it('refuses a state directory that is a file, or that cannot be made', async (t) => {
    const file = path.join(memoryDirectory(t), 'file');
    fs.writeFileSync(file, 'kept', { mode: 0o600 });
    for (const place of [file, path.join(file, 'state')]) {
      assert.match(await refusal(t, place), /^(StateDirectoryError|DirectoryLockError): /);
    }
    assert.equal(fs.readFileSync(file, 'utf8'), 'kept');
  });

  it('refuses to share a state directory or a socket, and reports the pid of the first daemon', async (t) => {
    const stateDirectory = stateIn(t);
    const runtimeDirectory = path.join(temporaryDirectory(t), 'run');
    const first = await start(t, stateDirectory, { runtimeDirectory });
    const held = new RegExp(`^DirectoryLockError: .* is held by another cio-credentiald \\(pid ${process.pid}\\)$`);
    assert.match(await refusal(t, stateDirectory), held);
    const other = stateIn(t);
    assert.match(await refusal(t, other, { runtimeDirectory }), held);
    assert.ok(
      !fs.existsSync(path.join(other, 'credentials.db')),
      'no store is made by one that does not come to serve',
    );
    await call(t, first, 'Status');
    await first.app.stop();
    await start(t, stateDirectory, { runtimeDirectory });
  });

  it('does not change a byte of a store of a newer version', async (t) => {
    const stateDirectory = await closedStore(t);
    editFile(path.join(stateDirectory, 'credentials.db'), (database) =>
      database.pragma(`user_version = ${FORMAT_VERSION + 1}`),
    );
    const before = contentOf(stateDirectory);
    assert.match(
      await refusal(t, stateDirectory),
      new RegExp(`^StoreError: the store has format ${FORMAT_VERSION + 1}`),
    );
    assert.deepEqual(keptIn(stateDirectory), before);
  });

  for (const [what, write] of Object.entries({
    'a text': (file: string): void => fs.writeFileSync(file, 'text '.repeat(100)),
    "another program's database": (file: string): void =>
      editFile(file, (database) => void database.exec('CREATE TABLE theirs (a)')),
  })) {
    it(`does not change ${what} at the path of the store`, async (t) => {
      const stateDirectory = stateIn(t);
      fs.mkdirSync(stateDirectory, { mode: 0o700 });
      write(path.join(stateDirectory, 'credentials.db'));
      const before = contentOf(stateDirectory);
      assert.match(await refusal(t, stateDirectory), /^StoreError: /);
      assert.deepEqual(keptIn(stateDirectory), before);
    });
  }

  it('makes no new store over the remains of one', async (t) => {
    const stateDirectory = await closedStore(t);
    editFile(path.join(stateDirectory, 'credentials.db'), (database) =>
      database.exec('DELETE FROM record WHERE kind < 4'),
    );
    const before = contentOf(stateDirectory);
    assert.match(await refusal(t, stateDirectory), /^CredentialError: Damaged/);
    assert.deepEqual(keptIn(stateDirectory), before);
  });

  it('serves a store without its key file locked, logs why, and makes no other key', async (t) => {
    const stateDirectory = await closedStore(t);
    fs.rmSync(path.join(stateDirectory, 'root.key'));
    const started = await start(t, stateDirectory);
    assert.match(started.log(), /a slot did not unlock the store .*cannot read the key file/);
    assert.match(started.log(), /the store is locked/);
    assert.equal((await call(t, started, 'Status'))['locked'], true);
    assert.ok(!fs.existsSync(path.join(stateDirectory, 'root.key')));
  });

  it("uses systemd's credential for a new store, makes no key file, and is locked without the credential", async (t) => {
    const credentialsDirectory = memoryDirectory(t);
    const key = `${Buffer.alloc(32, 7).toString('base64')}\n`;
    fs.writeFileSync(path.join(credentialsDirectory, 'cio-credentiald.root-key'), key, { mode: 0o400 });
    const stateDirectory = stateIn(t);
    for (let round = 0; round < 2; round += 1) {
      const started = await start(t, stateDirectory, { credentialsDirectory });
      assert.equal(started.app.isLocked, false);
      assert.ok(!fs.existsSync(path.join(stateDirectory, 'root.key')));
      await started.app.stop();
    }
    assert.equal((await start(t, stateDirectory)).app.isLocked, true);
  });

  it('refuses a read-only file system', { skip: skipUnless(mounting) }, async (t) => {
    const disk = smallDisk(t, 1024);
    await (await TestVault.create(t, disk)).close();
    makeReadOnly(disk);
    assert.match(await refusal(t, disk), /^DirectoryLockError: .*read-only file system/);
  });

  it('reports a full disk, and starts once there is space', { skip: skipUnless(mounting) }, async (t) => {
    const disk = smallDisk(t, 512);
    const filler = path.join(disk, 'filler');
    // Space for the lock and its own directory, but not for a store.
    fs.writeFileSync(filler, Buffer.alloc(480 * 1024));
    assert.match(await refusal(t, disk), /^(StoreError: the disk is full|KeyFileError: .*no space)/i);
    fs.rmSync(filler);
    const started = await start(t, disk);
    await call(t, started, 'Create', { credentials: [{ name: 'a', value: 'kept' }] });
  });
});

describe('App.stop()', () => {
  it('closes the LOAD sockets first, even if the schedule waits for long work to end', async (t) => {
    const started = await start(t, stateIn(t), { validateEveryMs: 1000 });
    const { app } = started;
    const credentials = [
      // Swapped, which is detected without asking the provider.
      { name: 'cio_aws_access_key', value: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
      { name: 'cio_aws_secret_key', value: 'AKIAIOSFODNN7EXAMPLE' },
      { name: 'cio_aws_backup_password', value: 'password' },
      { name: 'cio_aws_backup_repo', value: 's3:https://s3.amazonaws.com/backup-123' },
    ];
    await call(t, started, 'Create', { credentials });
    const { promise: isDone, resolve: end } = Promise.withResolvers<string[]>();
    t.after(() => end([]));
    const looks = t.mock.method(SqliteStore.prototype, 'findPageDamage', () => isDone);
    const keeps = t.mock.method(HealthRecords.prototype, 'record');
    const checking = call(t, started, 'Fsck');
    await eventually(() => looks.mock.callCount() === 1 && keeps.mock.callCount() === 1);
    const stopping = app.stop();
    const loadSocket = path.join(path.dirname(app.socketPath), 'load');
    await eventually(() => !fs.existsSync(loadSocket));
    assert.equal(fs.existsSync(app.socketPath), true);
    end([]);
    assert.deepEqual((await checking)['problems'], []);
    await stopping;
  });

  it('ends both LOAD sockets at once, even if a peer does not read its answer', async (t) => {
    const { app } = await start(t, stateIn(t));
    const [load = '', sealed = ''] = ['load', 'load-encrypted'].map((name) =>
      path.join(path.dirname(app.socketPath), name),
    );
    // A peer without an address of systemd's kind is refused, and a refusal is more than a socket buffer holds.
    const peers = [load, sealed].map((file) => net.connect({ path: file, allowHalfOpen: true }).pause());
    t.after(() => peers.forEach((peer) => peer.destroy()));
    await Promise.all(peers.map((peer) => once(peer, 'readable')));
    let isStopped = false;
    const stopping = app.stop().finally(() => {
      isStopped = true;
    });
    await eventually(() => !fs.existsSync(load) || !fs.existsSync(sealed));
    assert.deepEqual([fs.existsSync(load), fs.existsSync(sealed), isStopped], [false, false, false]);
    for (const peer of peers) peer.destroy();
    await stopping;
  });
});
