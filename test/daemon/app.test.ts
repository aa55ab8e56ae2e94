import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { Daemon, startDaemon } from '../support/daemon.ts';
import type { DaemonOptions } from '../support/daemon.ts';
import { plainEnvironment } from '../support/process.ts';
import { root, skipUnless } from '../support/requirements.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { RawVarlink } from '../support/varlink.ts';
import { makeReadOnly, smallDisk } from './store/small-disk.ts';
import { TestVault } from './vault/open-vault.ts';
import { contentOf, editFile } from './vault/raw-file.ts';

const DAMAGED = 10;
const FAILED = 1;

function modesIn(directory: string): Record<string, string> {
  const names = fs.readdirSync(directory).toSorted();
  return Object.fromEntries(
    names.map((name) => [name, (fs.lstatSync(path.join(directory, name)).mode & 0o777).toString(8)]),
  );
}

/** Starts a daemon that does not come to serve: its exit code, and what it said. */
async function refusal(t: TestContext, options: DaemonOptions): Promise<{ code: number | null; log: string }> {
  const daemon = new Daemon(t, options);
  const { code } = await daemon.service.exited;
  return { code, log: daemon.log };
}

function call(
  t: TestContext,
  daemon: Daemon,
  method: string,
  parameters: object = {},
): Promise<Record<string, unknown>> {
  return RawVarlink.connect(t, daemon.socketPath).then(async (connection) => {
    const { error, parameters: answer } = await connection.call(`io.cio.Credentials.${method}`, parameters);
    assert.equal(error, undefined);
    return answer ?? {};
  });
}

/** A store that was closed well, and its folder. */
async function closedStore(t: TestContext): Promise<string> {
  const made = await TestVault.create(t, temporaryDirectory(t));
  await made.save('a', 'value');
  await made.close();
  return made.directory;
}

describe('startApp()', () => {
  it('makes a store and its key file, which only the user of the daemon can read, and says where', async (t) => {
    const daemon = await startDaemon(t);
    assert.deepEqual(modesIn(daemon.stateDirectory), {
      'credentials.db': '600',
      'credentials.db-shm': '600',
      'credentials.db-wal': '600',
      lock: '600',
      'root.key': '600',
    });
    assert.equal(fs.statSync(daemon.stateDirectory).mode & 0o777, 0o700);
    assert.ok(daemon.log.includes(path.join(daemon.stateDirectory, 'root.key')));
    assert.ok(!daemon.log.includes(fs.readFileSync(path.join(daemon.stateDirectory, 'root.key'), 'utf8').trim()));
    await daemon.stop();
    assert.deepEqual(Object.keys(modesIn(daemon.stateDirectory)), ['credentials.db', 'lock', 'root.key']);
  });

  it('opens the store again by itself', async (t) => {
    const first = await startDaemon(t);
    await call(t, first, 'Create', { credentials: [{ name: 'a', value: 'kept' }] });
    await first.stop();
    const second = await startDaemon(t, { stateDirectory: first.stateDirectory });
    assert.equal((await call(t, second, 'Get', { name: 'a' }))['value'], 'kept');
    assert.ok(!second.log.includes('made'), second.log);
  });

  it('closes a state directory that others could look into', async (t) => {
    const stateDirectory = path.join(temporaryDirectory(t), 'state');
    fs.mkdirSync(stateDirectory, { mode: 0o755 });
    await startDaemon(t, { stateDirectory });
    assert.equal(fs.statSync(stateDirectory).mode & 0o777, 0o700);
  });

  it('refuses a state directory that others can write to', async (t) => {
    const stateDirectory = path.join(temporaryDirectory(t), 'state');
    for (const mode of [0o770, 0o702]) {
      fs.mkdirSync(stateDirectory, { recursive: true });
      fs.chmodSync(stateDirectory, mode);
      const { code, log } = await refusal(t, { stateDirectory });
      assert.equal(code, FAILED);
      assert.match(log, /cannot start: .*chmod 700/);
      assert.deepEqual(fs.readdirSync(stateDirectory), []);
    }
  });

  it("refuses another user's state directory, and one that is none", { skip: skipUnless(root) }, async (t) => {
    const theirs = path.join(temporaryDirectory(t), 'state');
    fs.mkdirSync(theirs, { mode: 0o700 });
    fs.chownSync(theirs, 1234, 1234);
    assert.match((await refusal(t, { stateDirectory: theirs })).log, /belongs to another user \(uid 1234\)/);
    const file = path.join(temporaryDirectory(t), 'file');
    fs.writeFileSync(file, 'kept');
    const { code, log } = await refusal(t, { stateDirectory: file });
    assert.equal(code, FAILED);
    assert.match(log, /cannot start: /);
    assert.ok(!log.includes('defect'), log);
    assert.equal(fs.readFileSync(file, 'utf8'), 'kept');
  });

  it('refuses to be the second one, by the process id of the first, which goes on', async (t) => {
    const first = await startDaemon(t);
    const { code, log } = await refusal(t, { stateDirectory: first.stateDirectory });
    assert.equal(code, FAILED);
    assert.match(log, new RegExp(`cannot start: .* is held by another cio-credentiald \\(pid ${first.pid}\\)`));
    const other = await refusal(t, { runtimeDirectory: first.runtimeDirectory });
    assert.match(other.log, new RegExp(`\\(pid ${first.pid}\\)`));
    await call(t, first, 'Status');
    await first.stop();
  });

  it('takes over from one that was killed, with all that was acknowledged', async (t) => {
    const first = await startDaemon(t);
    await call(t, first, 'Create', { credentials: [{ name: 'a', value: 'kept' }] });
    await first.service.stop('SIGKILL');
    const { stateDirectory, runtimeDirectory } = first;
    const second = await startDaemon(t, { stateDirectory, runtimeDirectory });
    assert.equal((await call(t, second, 'Get', { name: 'a' }))['value'], 'kept');
  });

  it('leaves a store of a newer version alone, to the byte', async (t) => {
    const stateDirectory = await closedStore(t);
    editFile(path.join(stateDirectory, 'credentials.db'), (database) => database.pragma('user_version = 2'));
    const before = contentOf(stateDirectory);
    const { code, log } = await refusal(t, { stateDirectory });
    assert.equal(code, FAILED);
    assert.match(log, /cannot start: the store has format 2/);
    const { lock: _, ...after } = contentOf(stateDirectory);
    assert.deepEqual(after, before);
  });

  it('leaves alone what is no store of ours', async (t) => {
    for (const write of [
      (file: string): void => fs.writeFileSync(file, 'text '.repeat(100)),
      (file: string): void => editFile(file, (database) => void database.exec('CREATE TABLE theirs (a)')),
    ]) {
      const stateDirectory = path.join(temporaryDirectory(t), 'state');
      fs.mkdirSync(stateDirectory, { mode: 0o700 });
      write(path.join(stateDirectory, 'credentials.db'));
      const before = contentOf(stateDirectory);
      const { code } = await refusal(t, { stateDirectory });
      assert.equal(code, DAMAGED);
      const { lock: _, ...after } = contentOf(stateDirectory);
      assert.deepEqual(after, before);
    }
  });

  it('makes no new store over what is left of one', async (t) => {
    const stateDirectory = await closedStore(t);
    const file = path.join(stateDirectory, 'credentials.db');
    editFile(file, (database) => database.exec('DELETE FROM record WHERE kind < 4'));
    const before = contentOf(stateDirectory);
    const { code, log } = await refusal(t, { stateDirectory });
    assert.equal(code, DAMAGED, log);
    const { lock: _, ...after } = contentOf(stateDirectory);
    assert.deepEqual(after, before);
  });

  it('serves a store locked whose key file is gone, and says why', async (t) => {
    const stateDirectory = await closedStore(t);
    fs.renameSync(path.join(stateDirectory, 'root.key'), path.join(stateDirectory, 'away'));
    const daemon = await startDaemon(t, { stateDirectory });
    assert.match(daemon.log, /a slot did not open .*cannot read the key file/);
    assert.match(daemon.log, /the store is locked/);
    assert.equal((await call(t, daemon, 'Status'))['locked'], true);
    assert.ok(!fs.existsSync(path.join(stateDirectory, 'root.key')), 'no other key is made in its place');
  });

  it("takes systemd's credential for a new store, and makes no key file", async (t) => {
    const credentials = temporaryDirectory(t);
    fs.chmodSync(credentials, 0o700);
    const key = Buffer.alloc(32, 7).toString('base64');
    fs.writeFileSync(path.join(credentials, 'cio-credentiald.root-key'), `${key}\n`, { mode: 0o400 });
    const env = { ...plainEnvironment(), HOME: credentials, CREDENTIALS_DIRECTORY: credentials };
    const first = await startDaemon(t, { env });
    assert.ok(!fs.existsSync(path.join(first.stateDirectory, 'root.key')));
    await first.stop();
    const { stateDirectory } = first;
    const second = await startDaemon(t, { env, stateDirectory });
    assert.equal((await call(t, second, 'Status'))['locked'], false);
    await second.stop();
    const without = await startDaemon(t, { stateDirectory });
    assert.equal((await call(t, without, 'Status'))['locked'], true);
  });

  it('says so on a read-only file system', { skip: skipUnless(root) }, async (t) => {
    const disk = smallDisk(t, 1024);
    const made = await TestVault.create(t, disk);
    await made.close();
    makeReadOnly(disk);
    const { code, log } = await refusal(t, { stateDirectory: disk });
    assert.equal(code, FAILED);
    assert.match(log, /cannot start: .*read-only file system/);
  });

  it('says so on a full disk', { skip: skipUnless(root) }, async (t) => {
    const disk = smallDisk(t, 32);
    const { code, log } = await refusal(t, { stateDirectory: disk });
    assert.equal(code, FAILED);
    assert.match(log, /cannot start: .*(full|no space)/i);
    assert.ok(!log.includes('defect'), log);
  });
});
