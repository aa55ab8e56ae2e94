import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, linkSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { STORE_FILE } from '../../daemon/settings.ts';
import { EXIT } from '../../src/errors.ts';
import { DAEMON_SOURCE, startDaemon } from '../support/daemon.ts';
import { plainEnvironment, run } from '../support/process.ts';
import { root, skipUnless } from '../support/requirements.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { RawVarlink } from '../support/varlink.ts';
import { CREDENTIALS, failure } from './daemon-process.ts';

describe('two daemons', { concurrency: 2 }, () => {
  for (const shared of ['stateDirectory', 'runtimeDirectory'] as const) {
    it(`are refused one ${shared === 'stateDirectory' ? 'state' : 'runtime'} directory: the second reports the first, which serves on`, async (t) => {
      const first = await startDaemon(t);
      const { code, log } = await failure(t, { [shared]: first[shared] });
      assert.equal(code, EXIT.failed);
      const expected = `cio-credentiald: error: cannot start: ${first[shared]} is held by another cio-credentiald (pid ${first.pid}); use that one, or stop it first; a second one needs its own --state-dir and --runtime-dir\n`;
      assert.equal(log, expected);
      const client = await RawVarlink.connect(t, first.socketPath);
      assert.equal((await client.call(`${CREDENTIALS}.Status`)).error, undefined);
      await first.stop();
    });
  }

  it('are refused one store, even if its directory does not show that it is in use', async (t) => {
    const first = await startDaemon(t);
    const elsewhere = join(temporaryDirectory(t), 'state');
    mkdirSync(elsewhere, { mode: 0o700 });
    // As backup programs that copy by hard links do.
    linkSync(join(first.stateDirectory, STORE_FILE), join(elsewhere, STORE_FILE));
    rmSync(join(first.stateDirectory, 'lock'));
    for (const stateDirectory of [first.stateDirectory, elsewhere]) {
      const { code, log } = await failure(t, { stateDirectory });
      assert.equal(code, EXIT.failed);
      const expected = `cio-credentiald: error: cannot start: ${join(stateDirectory, STORE_FILE)} is held by another process; use that one, or stop it first; `;
      assert.ok(log.startsWith(expected), log);
    }
    const client = await RawVarlink.connect(t, first.socketPath);
    assert.equal(
      (await client.call(`${CREDENTIALS}.Create`, { credentials: [{ name: 'a', value: 'x' }] })).error,
      undefined,
    );
    await first.stop();
  });
});

describe('a daemon that cannot start', { concurrency: 2 }, () => {
  it('reports that its socket path is too long, before it makes anything', async (t) => {
    const directory = temporaryDirectory(t);
    const runtimeDirectory = join(directory, 'x'.repeat(108 - directory.length - '/io.cio.Credentials'.length - 1));
    const stateDirectory = join(directory, 'state');
    const { code, log } = await failure(t, { runtimeDirectory, stateDirectory });
    assert.equal(code, EXIT.failed);
    assert.match(
      log,
      /cannot start: the socket path .* is 108 bytes long, 107 are allowed; choose a shorter --runtime-dir\n$/,
    );
    assert.deepEqual([existsSync(stateDirectory), existsSync(runtimeDirectory)], [false, false]);
  });

  for (const directory of ['state', 'runtime'] as const) {
    it(`reports that others may write to its ${directory} directory, and how to fix that`, async (t) => {
      const path = join(temporaryDirectory(t), 'open');
      mkdirSync(path);
      chmodSync(path, 0o777);
      const { code, log } = await failure(t, { [`${directory}Directory`]: path });
      assert.equal(code, EXIT.failed);
      assert.match(
        log,
        new RegExp(`cannot start: others may write to the ${directory} directory ${path}; fix it with: chmod .*\n$`),
      );
    });

    it(`reports that its ${directory} directory belongs to another user`, { skip: skipUnless(root) }, async (t) => {
      const path = join(temporaryDirectory(t), 'other');
      mkdirSync(path, { mode: 0o755 });
      chownSync(path, 3001, 3001);
      const { code, log } = await failure(t, { [`${directory}Directory`]: path });
      assert.equal(code, EXIT.failed);
      assert.match(log, /cannot start: the \w+ directory .* belongs to another user \(uid 3001\)\n$/);
    });
  }

  it('reports which store cannot be read, why, and what to look at', async (t) => {
    const stateDirectory = join(temporaryDirectory(t), 'state');
    mkdirSync(join(stateDirectory, STORE_FILE), { recursive: true, mode: 0o700 });
    const { code, log } = await failure(t, { stateDirectory });
    assert.equal(code, EXIT.failed);
    assert.match(
      log,
      /cannot start: \/.*\/state: cannot read the store: illegal operation on a directory; check .*\n$/,
    );
  });

  it('says nothing of the disk if a link is in the place of the store', async (t) => {
    const stateDirectory = join(temporaryDirectory(t), 'state');
    mkdirSync(stateDirectory, { mode: 0o700 });
    symlinkSync('elsewhere.db', join(stateDirectory, STORE_FILE));
    const { code, log } = await failure(t, { stateDirectory });
    assert.equal(code, EXIT.failed);
    assert.match(log, /credentials\.db is a symbolic link, which is not supported: .* \(mount --bind\)\n$/);
  });

  it('reports that its state directory is a symbolic link, whose mode cannot be fixed', async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'link');
    mkdirSync(join(directory, 'target'), { mode: 0o700 });
    symlinkSync('target', path);
    const { code, log } = await failure(t, { stateDirectory: path });
    assert.equal(code, EXIT.failed);
    assert.match(
      log,
      /cannot start: the state directory .*link is a symbolic link; give the directory that it points to\n$/,
    );
  });

  it('reports a directory that cannot be made, as below /proc', async (t) => {
    const home = temporaryDirectory(t);
    for (const [variables, which] of [
      [{ HOME: '/proc' }, 'state directory /proc/.local/state/cio-credentiald'],
      [{ HOME: home, XDG_RUNTIME_DIR: '/proc' }, 'runtime directory /proc/cio-credentiald'],
    ] as const) {
      const { code, stderr } = await run([...DAEMON_SOURCE, '--user'], {
        env: { ...plainEnvironment(), ...variables },
      });
      assert.equal(code, EXIT.failed);
      assert.equal(
        stderr,
        `cio-credentiald: error: cannot start: cannot make the ${which}: no such file or directory\n`,
      );
    }
  });

  it('makes nothing in its working directory if HOME is not an absolute path', async (t) => {
    const cwd = temporaryDirectory(t);
    const { code, stderr } = await run([...DAEMON_SOURCE, '--user'], {
      cwd,
      env: { ...plainEnvironment(), HOME: 'home' },
    });
    assert.equal(code, EXIT.usage);
    assert.match(stderr, /^cio-credentiald: error: .*HOME is not an absolute path; .* --state-dir; see --help\n$/);
    assert.deepEqual(readdirSync(cwd), []);
  });

  it('reports a relative path in a removed working directory', async (t) => {
    const script = 'cd "$0" && rmdir "$0" && exec "$@" --state-dir state';
    const { code, stderr } = await run(['/bin/sh', '-c', script, temporaryDirectory(t), ...DAEMON_SOURCE]);
    assert.equal(code, EXIT.usage);
    assert.match(
      stderr,
      /^cio-credentiald: error: --state-dir is relative to a directory that was removed, .*--help\n$/,
    );
  });

  it('does not repeat an unknown argument', async () => {
    const { code, stdout, stderr } = await run([...DAEMON_SOURCE, '--secret-word']);
    assert.deepEqual([code, stdout.length], [EXIT.usage, 0]);
    assert.match(stderr, /^cio-credentiald: error: .*; see --help\n$/);
    assert.ok(!stderr.includes('secret-word'));
  });

  it('prints its help and its version, and makes nothing', async () => {
    const help = await run([...DAEMON_SOURCE, '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout.toString(), /^Usage: cio-credentiald /);
    const version = await run([...DAEMON_SOURCE, '--version']);
    assert.match(version.stdout.toString(), /^\d+\.\d+\.\d+\n$/);
  });
});
