import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { STORE_FILE } from '../../daemon/settings.ts';
import { STOP_TIME_MAX_MS } from '../../daemon/socket/limits.ts';
import { EXIT } from '../../src/errors.ts';
import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { assertUnseen, Canaries } from '../support/canary.ts';
import { Daemon, startDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { plainEnvironment, run, Service, until } from '../support/process.ts';
import { command, root, skipUnless, tracer, tracingOfOthers } from '../support/requirements.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { RawVarlink } from '../support/varlink.ts';
import type { Reply } from '../support/varlink.ts';

const REPOSITORY = join(import.meta.dirname, '..', '..');
const MAIN = [process.execPath, join(REPOSITORY, 'daemon', 'main.ts')];
const CREDENTIALS = 'io.cio.Credentials';

const create = (name: string, value = 'x'): object => ({
  method: `${CREDENTIALS}.Create`,
  parameters: { credentials: [{ name, value }] },
});

/** A few pages of the store. */
const LARGE = 'x'.repeat(20_000);

async function namesIn(t: TestContext, socketPath: string): Promise<Set<string>> {
  const client = await RawVarlink.connect(t, socketPath);
  const { parameters } = await client.call(`${CREDENTIALS}.List`);
  const { credentials } = (parameters ?? {}) as { credentials: { name: string }[] };
  return new Set(credentials.map(({ name }) => name));
}

/** Runs a daemon that does not start, and returns its output. */
async function failure(
  t: TestContext,
  daemonOptions: ConstructorParameters<typeof Daemon>[1],
): Promise<{ code: number | null; log: string }> {
  const daemon = new Daemon(t, daemonOptions);
  const { code } = await daemon.service.exited;
  return { code, log: daemon.log };
}

/** Stops a daemon for longer than one of its time limits, and continues it. */
async function standStill(daemon: Daemon, timeMaxMs: number): Promise<void> {
  daemon.service.signal('SIGSTOP');
  await setTimeout(timeMaxMs + 1000);
  daemon.service.signal('SIGCONT');
}

describe('a stopping daemon', { concurrency: 2 }, () => {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    it(`exits with 0 on ${signal}, and removes its socket`, async (t) => {
      const daemon = await startDaemon(t);
      await RawVarlink.connect(t, daemon.socketPath);
      assert.deepEqual(await daemon.service.stop(signal), { code: 0, signal: null });
      assert.equal(existsSync(daemon.socketPath), false);
      assert.match(daemon.log, new RegExp(`stopping signal=${signal}\n.*stopped\n`));
    });
  }

  it('exits with 0 if its output files cannot be synced', { skip: skipUnless(tracer) }, async (t) => {
    const log = join(temporaryDirectory(t), 'log');
    const fails = ['strace', '-D', '-f', '-qq', '-o', '/dev/null', '-P', log, '--inject=fsync:error=EIO', '--'];
    const command = ['sh', '-c', 'log=$1; shift; exec "$@" > "$log" 2>> "$log"', 'sh', log, ...fails, ...MAIN];
    const daemon = await startDaemon(t, { command });
    assert.deepEqual(await daemon.service.stop('SIGTERM'), { code: 0, signal: null });
    assert.match(readFileSync(log, 'utf8'), /stopped\n$/);
  });

  it('exits with 0 if the disk of its lock has failed', { skip: skipUnless(tracer) }, async (t) => {
    const stateDirectory = join(temporaryDirectory(t), 'state');
    const lock = join(stateDirectory, 'lock');
    // The first call is at the start.
    const fails = [
      'strace',
      '-D',
      '-f',
      '-qq',
      '-o',
      '/dev/null',
      '-P',
      lock,
      '--inject=ftruncate:error=EIO:when=2+',
      '--',
    ];
    const daemon = await startDaemon(t, { command: [...fails, ...MAIN], stateDirectory });
    await daemon.stop();
    assert.match(daemon.log, /stopped\n$/);
    assert.notEqual(readFileSync(lock, 'utf8'), '', 'it did fail');
  });

  it('exits with 0 if its files cannot be closed', { skip: skipUnless(tracer, tracingOfOthers) }, async (t) => {
    const daemon = await startDaemon(t);
    const paths = ['lock', STORE_FILE].flatMap((name) => ['-P', join(daemon.stateDirectory, name)]);
    const trace = join(temporaryDirectory(t), 'trace');
    const fails = ['-f', '-o', trace, ...paths, '--inject=close:error=EIO', '-p', `${daemon.pid}`];
    const strace = new Service(t, ['strace', ...fails]);
    await strace.printed('attached');
    await daemon.stop();
    assert.match(daemon.log, /stopped\n$/);
    await strace.exited;
    const failed = readFileSync(trace, 'utf8').match(/close\(.*EIO/g) ?? [];
    assert.ok(failed.length >= 3, 'the lock, the store and what asks its disk');
  });

  it('exits with 0 after a second signal', async (t) => {
    const daemon = await startDaemon(t);
    const client = await RawVarlink.connect(t, daemon.socketPath);
    client.socket.pause();
    const value = 'x'.repeat(VALUE_BYTES_MAX);
    client.send({ method: `${CREDENTIALS}.Create`, parameters: { credentials: [{ name: 'large', value }] } });
    client.send({ method: `${CREDENTIALS}.Get`, parameters: { name: 'large' } });
    const other = await RawVarlink.connect(t, daemon.socketPath);
    let status: Reply;
    do status = await other.call(`${CREDENTIALS}.Status`);
    while (status.parameters?.['credentials'] !== 1);
    // Now it waits for the reader.
    daemon.service.signal('SIGINT');
    await daemon.service.printed('stopping');
    daemon.service.signal('SIGINT');
    assert.deepEqual(await daemon.service.exited, { code: 0, signal: null });
    assert.equal(existsSync(daemon.socketPath), false);
  });

  it('cuts off no answer to a client after it was stopped by SIGSTOP', async (t) => {
    const daemon = await startDaemon(t);
    const client = await RawVarlink.connect(t, daemon.socketPath);
    const idle = await RawVarlink.connect(t, daemon.socketPath);
    const value = 'x'.repeat(VALUE_BYTES_MAX);
    await client.call(`${CREDENTIALS}.Create`, { credentials: [{ name: 'large', value }] });
    client.socket.pause();
    client.send({ method: `${CREDENTIALS}.Get`, parameters: { name: 'large' } });
    daemon.service.signal('SIGTERM');
    // After that, every peer is disconnected.
    assert.equal(await idle.receive(), undefined);
    await standStill(daemon, STOP_TIME_MAX_MS);
    client.socket.resume();
    assert.equal((await client.receive())?.parameters?.['value'], value);
    assert.deepEqual(await daemon.service.exited, { code: 0, signal: null });
  });

  it('cuts off no answer to a unit after it was stopped by SIGSTOP', async (t) => {
    const daemon = await startDaemon(t);
    const unit = connect({ path: join(daemon.runtimeDirectory, 'load'), allowHalfOpen: true }).end();
    t.after(() => unit.destroy());
    await once(unit, 'readable');
    daemon.service.signal('SIGTERM');
    await daemon.service.printed('stopping');
    // The time that it waits for units.
    await standStill(daemon, 20_000);
    // The refusal.
    assert.equal((await buffer(unit)).length, VALUE_BYTES_MAX + 1);
    assert.deepEqual(await daemon.service.exited, { code: 0, signal: null });
  });

  it('exits with 0 however many signals it gets, up to the last moment', async (t) => {
    const daemon = await startDaemon(t);
    const { exited } = daemon.service;
    while ((await Promise.race([exited, setImmediate()])) === undefined) daemon.service.signal('SIGTERM');
    assert.deepEqual(await exited, { code: 0, signal: null });
  });

  it('answers pending calls: exactly what was acknowledged is stored', async (t) => {
    const daemon = await startDaemon(t);
    const clients = await Promise.all(Array.from({ length: 8 }, () => RawVarlink.connect(t, daemon.socketPath)));
    for (const [client, connection] of clients.entries()) {
      for (let index = 0; index < 300; index += 1) connection.send(create(`n${client}-${index}`));
    }
    const first = await clients[0]?.receive();
    const endedMs = performance.now();
    daemon.service.signal('SIGTERM');
    const acknowledged = new Set([nameIn(first)]);
    for (const client of clients) {
      for (let reply = await client.receive(); reply !== undefined; reply = await client.receive())
        acknowledged.add(nameIn(reply));
      assert.equal(client.rest.length, 0);
    }
    assert.deepEqual(await daemon.service.exited, { code: 0, signal: null });
    const isCutOff = performance.now() - endedMs > STOP_TIME_MAX_MS;
    const again = await startDaemon(t, {
      stateDirectory: daemon.stateDirectory,
      runtimeDirectory: daemon.runtimeDirectory,
    });
    const stored = await namesIn(t, again.socketPath);
    for (const name of acknowledged) assert.ok(stored.has(name), `${name} was acknowledged`);
    // On a machine too busy for all of it, the last commits may be acknowledged to nobody.
    if (!isCutOff) assert.deepEqual(stored, acknowledged);
    await again.stop();
  });

  it('leaves nothing deleted in the WAL', async (t) => {
    const daemon = await startDaemon(t);
    const client = await RawVarlink.connect(t, daemon.socketPath);
    client.send(create('token'));
    await client.receive();
    await client.call(`${CREDENTIALS}.Remove`, { names: ['token'] });
    await daemon.stop();
    const wal = statSync(join(daemon.stateDirectory, 'credentials.db-wal'), { throwIfNoEntry: false });
    assert.ok(wal === undefined || wal.size === 0);
  });

  it('derives no key for a new slot that is still queued', async (t) => {
    const daemon = await startDaemon(t);
    const clients = await Promise.all(Array.from({ length: 15 }, () => RawVarlink.connect(t, daemon.socketPath)));
    const answers = clients.map((client, index) =>
      client.call(`${CREDENTIALS}.AddSlot`, { kind: 'passphrase', passphrase: `passphrase ${index}` }),
    );
    await (await RawVarlink.connect(t, daemon.socketPath)).call(`${CREDENTIALS}.Status`);
    const [settled] = await Promise.all([Promise.allSettled(answers), daemon.stop()]);
    // The slot in progress may take longer than the daemon waits for its peers.
    const errors = settled.map((each) => (each.status === 'fulfilled' ? each.value.error : `${CREDENTIALS}.Busy`));
    assert.ok(errors.filter((error) => error === `${CREDENTIALS}.Busy`).length > 8, JSON.stringify(errors));
    const again = await startDaemon(t, {
      stateDirectory: daemon.stateDirectory,
      runtimeDirectory: daemon.runtimeDirectory,
    });
    const { parameters } = await (await RawVarlink.connect(t, again.socketPath)).call(`${CREDENTIALS}.ListSlots`);
    const { slots } = (parameters ?? {}) as { slots: { kind: string }[] };
    // One was in progress, and on a busy machine a few were done before.
    assert.ok(slots.filter(({ kind }) => kind === 'passphrase').length < 7, JSON.stringify(slots));
    await again.stop();
  });
});

function nameIn(reply: Reply | undefined): string {
  assert.equal(reply?.error, undefined);
  const { saved } = (reply?.parameters ?? {}) as { saved?: { name: string }[] };
  return saved?.[0]?.name ?? assert.fail();
}

describe('a killed daemon', () => {
  it('has stored every write that it acknowledged, and the next one takes over its socket', async (t) => {
    const daemon = await startDaemon(t);
    const clients = await Promise.all(Array.from({ length: 4 }, () => RawVarlink.connect(t, daemon.socketPath)));
    for (const [client, connection] of clients.entries()) {
      for (let index = 0; index < 500; index += 1) connection.send(create(`n${client}-${index}`));
    }
    const acknowledged = new Set<string>();
    while (acknowledged.size < 100) acknowledged.add(nameIn(await clients[0]?.receive()));
    daemon.service.signal('SIGKILL');
    for (const client of clients) {
      for (let reply = await client.receive(); reply !== undefined; reply = await client.receive())
        acknowledged.add(nameIn(reply));
    }
    await daemon.service.exited;
    assert.ok(statSync(daemon.socketPath).isSocket());
    const again = await startDaemon(t, {
      stateDirectory: daemon.stateDirectory,
      runtimeDirectory: daemon.runtimeDirectory,
    });
    const stored = await namesIn(t, again.socketPath);
    for (const name of acknowledged) assert.ok(stored.has(name), `${name} was acknowledged`);
    const client = await RawVarlink.connect(t, again.socketPath);
    assert.deepEqual((await client.call(`${CREDENTIALS}.Fsck`)).parameters?.['problems'], []);
    await again.stop();
  });
});

describe('a daemon started by hand', () => {
  it('prints what to type next, for the directory that it is started in', async (t) => {
    const stateDirectory = join(temporaryDirectory(t), 'state');
    const said = async (cwd: string, command: readonly string[] = MAIN): Promise<readonly string[]> => {
      const daemon = await startDaemon(t, { command, cwd, stateDirectory });
      const ready = /^Ready\. (.*)\n\n {4}(.*)\n\n/m;
      await eventually(() => ready.test(daemon.log));
      const [, where = '', typed = ''] = ready.exec(daemon.log) ?? [];
      const client = await RawVarlink.connect(t, daemon.socketPath);
      const credentials = [{ name: 'a', value: 'x' }];
      const { error } = await client.call(`${CREDENTIALS}.Create`, { credentials, replace: true });
      assert.equal(error, undefined);
      await daemon.stop();
      return [where, typed.replace(` --socket ${daemon.socketPath}`, '')];
    };
    assert.deepEqual(await said(REPOSITORY), [
      'In another terminal, in this folder, type:',
      'npx cio credential create cio_aws_backup_repo s3:https://s3.amazonaws.com/backup-123',
    ]);
    const elsewhere = ['In another terminal, type:', `${join(REPOSITORY, 'bin', 'cio')} credential list`];
    assert.deepEqual(await said('/'), elsewhere);
    const removed = ['sh', '-c', 'mkdir removed && cd removed && rmdir ../removed && exec "$@"', 'sh', ...MAIN];
    assert.deepEqual(await said(temporaryDirectory(t), removed), elsewhere);
  });
});

describe('a daemon with an unreachable NOTIFY_SOCKET', () => {
  it('serves, and warns once that systemd may end it', async (t) => {
    const NOTIFY_SOCKET = join(temporaryDirectory(t), 'notify');
    const daemon = await startDaemon(t, { env: { ...plainEnvironment(), HOME: '/nonexistent', NOTIFY_SOCKET } });
    await daemon.service.printed('listening');
    await daemon.stop();
    const told = daemon.log.split('\n').filter((line) => line.includes('NOTIFY_SOCKET'));
    assert.deepEqual(told, [
      'cio-credentiald: warning: NOTIFY_SOCKET: systemd cannot be told that the daemon is ready, and may stop it reason=no such file or directory',
    ]);
  });
});

describe('a daemon that must not lock memory', { skip: skipUnless(root, command('setpriv', 'util-linux')) }, () => {
  it('serves, and logs which limit it is', async (t) => {
    const limited = [
      'setpriv',
      '--bounding-set=-ipc_lock',
      '--inh-caps=-ipc_lock',
      '--',
      'prlimit',
      '--memlock=0',
      '--',
    ];
    const daemon = await startDaemon(t, { command: [...limited, ...MAIN] });
    await daemon.service.printed(
      'warning: keys may reach swap: their memory cannot be locked reason=operation not permitted (LimitMEMLOCK=, ulimit -l)\n',
    );
    await daemon.stop();
  });
});

describe('a daemon with a systemd watchdog', () => {
  it('logs for how long it was blocked, long before systemd would end it', async (t) => {
    const env = { ...plainEnvironment(), HOME: '/nonexistent', WATCHDOG_USEC: '1200000' };
    const daemon = await startDaemon(t, { env });
    await daemon.service.printed('listening');
    process.kill(daemon.pid, 'SIGSTOP');
    await setTimeout(500);
    process.kill(daemon.pid, 'SIGCONT');
    const warned = /warning: no call was answered for a while: .* seconds=([\d.]+)$/gm;
    const seconds = (): number[] => [...daemon.log.matchAll(warned)].map(([, said]) => Number(said));
    await until(daemon.service, async () => seconds().some((said) => said >= 0.5) || undefined, 20_000);
    await daemon.stop();
  });
});

describe('a daemon that cannot write its log', () => {
  it('serves, and exits with 0', async (t) => {
    const daemon = await startDaemon(t, { command: ['/bin/sh', '-c', 'exec "$@" 2>/dev/full', 'sh', ...MAIN] });
    const client = await RawVarlink.connect(t, daemon.socketPath);
    assert.equal((await client.call(`${CREDENTIALS}.Status`)).error, undefined);
    await daemon.stop();
  });
});

describe('a daemon with a file size limit', () => {
  const withLimit = (blocks: number): readonly string[] => {
    return ['/bin/sh', '-c', `ulimit -f ${blocks}; exec "$@"`, 'sh', ...MAIN];
  };

  it('logs a failed write, keeps what it acknowledged, and serves on', async (t) => {
    const daemon = await startDaemon(t, { command: withLimit(256) });
    const client = await RawVarlink.connect(t, daemon.socketPath);
    let reply: Reply;
    let count = 0;
    do reply = await client.call(`${CREDENTIALS}.Create`, { credentials: [{ name: `n${count}`, value: LARGE }] });
    while (reply.error === undefined && (count += 1) < 100);
    assert.deepEqual([reply.error, reply.parameters], [`${CREDENTIALS}.StorageFailed`, { reason: 'io' }]);
    await daemon.service.printed('error: ');
    const reason =
      /reason=the storage failed \(SQLITE_IOERR_WRITE\); a file of this process has at most \d+ bytes \(LimitFSIZE=, ulimit -f\)$/m;
    assert.match(daemon.log, reason);
    assert.equal((await namesIn(t, daemon.socketPath)).size, count);
    assert.ok(count > 0);
    await daemon.stop();
  });

  it('logs a repeated failure once, and how often it happened once a call succeeds', async (t) => {
    const daemon = await startDaemon(t, { command: withLimit(256) });
    const client = await RawVarlink.connect(t, daemon.socketPath);
    const credentials = (value: string): object => ({ credentials: [{ name: 'n', value }], replace: true });
    for (let failures = 0; failures < 50; failures += 1) {
      const { error } = await client.call(`${CREDENTIALS}.Create`, credentials('x'.repeat(VALUE_BYTES_MAX)));
      assert.equal(error, `${CREDENTIALS}.StorageFailed`);
    }
    assert.equal((await client.call(`${CREDENTIALS}.Create`, credentials('x'))).error, undefined);
    await eventually(() => daemon.log.includes('cio-credentiald: writes to the store succeed again\n'));
    const lines = daemon.log.split('\n').filter((line) => /the storage failed|writes to the store/.test(line));
    assert.equal(lines.length, 3, daemon.log);
    assert.match(lines[1] ?? '', /the storage failed .* times=49$/);
    assert.match(lines[2] ?? '', /writes to the store succeed again$/);
    await daemon.stop();
  });

  it('reports the limit if it cannot even make its store', async (t) => {
    const { code, log } = await failure(t, { command: withLimit(8) });
    assert.equal(code, EXIT.failed);
    assert.match(log, /; a file of this process has at most \d+ bytes \(LimitFSIZE=, ulimit -f\); /);
  });
});

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
    mkdirSync(stateDirectory, { mode: 0o700 });
    symlinkSync(STORE_FILE, join(stateDirectory, STORE_FILE));
    const { code, log } = await failure(t, { stateDirectory });
    assert.equal(code, EXIT.failed);
    assert.match(
      log,
      /cannot start: \/.*\/state: cannot read the store: too many symbolic links encountered; check .*\n$/,
    );
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
      const { code, stderr } = await run([...MAIN, '--user'], { env: { ...plainEnvironment(), ...variables } });
      assert.equal(code, EXIT.failed);
      assert.equal(
        stderr,
        `cio-credentiald: error: cannot start: cannot make the ${which}: no such file or directory\n`,
      );
    }
  });

  it('makes nothing in its working directory if HOME is not an absolute path', async (t) => {
    const cwd = temporaryDirectory(t);
    const { code, stderr } = await run([...MAIN, '--user'], { cwd, env: { ...plainEnvironment(), HOME: 'home' } });
    assert.equal(code, EXIT.usage);
    assert.match(stderr, /^cio-credentiald: error: .*HOME is not an absolute path; .* --state-dir; see --help\n$/);
    assert.deepEqual(readdirSync(cwd), []);
  });

  it('reports a relative path in a removed working directory', async (t) => {
    const script = 'cd "$0" && rmdir "$0" && exec "$@" --state-dir state';
    const { code, stderr } = await run(['/bin/sh', '-c', script, temporaryDirectory(t), ...MAIN]);
    assert.equal(code, EXIT.usage);
    assert.match(
      stderr,
      /^cio-credentiald: error: --state-dir is relative to a directory that was removed, .*--help\n$/,
    );
  });

  it('does not repeat an unknown argument', async () => {
    const { code, stdout, stderr } = await run([...MAIN, '--secret-word']);
    assert.deepEqual([code, stdout.length], [EXIT.usage, 0]);
    assert.match(stderr, /^cio-credentiald: error: .*; see --help\n$/);
    assert.ok(!stderr.includes('secret-word'));
  });

  it('prints its help and its version, and makes nothing', async () => {
    const help = await run([...MAIN, '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout.toString(), /^Usage: cio-credentiald /);
    const version = await run([...MAIN, '--version']);
    assert.match(version.stdout.toString(), /^\d+\.\d+\.\d+\n$/);
  });
});

describe('a daemon whose key file is missing', () => {
  it('serves locked, logs that, and is unlocked once the file is back', async (t) => {
    const first = await startDaemon(t);
    const before = await RawVarlink.connect(t, first.socketPath);
    before.send(create('token', 'secret'));
    await before.receive();
    await first.stop();
    const keyFile = join(first.stateDirectory, 'root.key');
    renameSync(keyFile, `${keyFile}.away`);

    const daemon = await startDaemon(t, { stateDirectory: first.stateDirectory });
    assert.match(daemon.log, /warning: the store is locked; open it with: cio credential unlock\n/);
    const client = await RawVarlink.connect(t, daemon.socketPath);
    assert.equal((await client.call(`${CREDENTIALS}.Status`)).parameters?.['locked'], true);
    assert.equal((await client.call(`${CREDENTIALS}.Get`, { name: 'token' })).error, `${CREDENTIALS}.Locked`);
    renameSync(`${keyFile}.away`, keyFile);
    assert.equal((await client.call(`${CREDENTIALS}.Unlock`)).error, undefined);
    assert.equal((await client.call(`${CREDENTIALS}.Get`, { name: 'token' })).parameters?.['value'], 'secret');
    await daemon.stop();
  });
});

describe('the socket of a daemon', () => {
  it('has its mode from bind(2) on: no chmod(2) follows', { skip: skipUnless(root, tracer) }, async (t) => {
    const directory = temporaryDirectory(t);
    const trace = join(directory, 'trace');
    const strace = ['strace', '-f', '-qq', '-e', 'trace=bind,umask,?chmod,fchmod,fchmodat,listen', '-o', trace];
    const daemon = await startDaemon(t, { command: [...strace, ...MAIN] });
    assert.equal(statSync(daemon.socketPath).mode & 0o777, 0o666);
    const lines = readFileSync(trace, 'utf8').split('\n');
    const bind = lines.findIndex((line) => line.includes('bind(') && line.includes(daemon.socketPath));
    assert.ok(bind > 0);
    const lastUmask = lines.slice(0, bind).findLast((line) => line.includes('umask(')) ?? '';
    assert.match(lastUmask, /umask\(0111\)/);
    assert.ok(!lines.some((line) => /f?chmod/.test(line) && line.includes('io.cio.Credentials')));
    assert.match(lines.slice(bind).find((line) => line.includes('umask(')) ?? '', /umask\(077\)/);
    // The daemon is the only child of strace, which does not forward signals.
    const child = Number(readFileSync(`/proc/${daemon.pid}/task/${daemon.pid}/children`, 'utf8').trim());
    process.kill(child, 'SIGTERM');
    await daemon.service.exited;
  });

  it(
    'is open to all users of root’s daemon, and to no other user with --user',
    { skip: skipUnless(root) },
    async (t) => {
      for (const [args, mode] of [
        [[], 0o666],
        [['--user'], 0o600],
      ] as const) {
        const daemon = await startDaemon(t, { args });
        assert.equal(statSync(daemon.socketPath).mode & 0o777, mode);
        assert.equal(statSync(daemon.runtimeDirectory).mode & 0o777, mode === 0o666 ? 0o755 : 0o700);
        await daemon.stop();
      }
    },
  );
});

/** As systemd starts a service with the journal as its standard error. */
const TO_JOURNAL = [
  'sh',
  '-c',
  'export JOURNAL_STREAM="$(stat -L -c %d:%i /proc/self/fd/2)"; exec "$@"',
  'sh',
  process.execPath,
  join(REPOSITORY, 'daemon', 'main.ts'),
];

describe('the log of a daemon', () => {
  it('has no syslog priorities in a terminal, even one that a systemd service opened', async (t) => {
    const daemon = await startDaemon(t, { env: { ...plainEnvironment(), JOURNAL_STREAM: '1:2' } });
    await daemon.stop();
    assert.match(daemon.log, /^cio-credentiald: made a new store/);
    assert.match(daemon.log, /^Ready\./m);
  });

  it('contains no secret, no name and no malformed input; nor do its files', async (t) => {
    const canaries = new Canaries();
    const [secret, malformed] = [canaries.plant('secret'), canaries.plant('malformed')];
    const name = canaries.add('name', `name-${crypto.randomUUID()}`);
    const daemon = await startDaemon(t, { command: TO_JOURNAL });
    const client = await RawVarlink.connect(t, daemon.socketPath);
    const replies: (Reply | undefined)[] = [];
    for (const message of [
      create(name, secret),
      create(name, secret),
      create(name, secret),
      { method: `${CREDENTIALS}.Remove`, parameters: { names: [name] } },
      { method: `${CREDENTIALS}.Get`, parameters: { name: malformed } },
      { method: malformed, parameters: { [malformed]: malformed } },
    ]) {
      client.send(message);
      replies.push(await client.receive());
    }
    client.send(`${malformed}\0`);
    replies.push(await client.receive());
    assert.equal(replies.at(-1)?.error, `${CREDENTIALS}.MalformedMessage`);
    for (const reply of replies.slice(4)) assertUnseen(canaries.findIn('reply', JSON.stringify(reply)));
    assertUnseen(canaries.findInProcess(daemon.pid));
    assertUnseen(canaries.findInFiles(daemon.stateDirectory));
    await daemon.stop();
    assertUnseen(canaries.findIn('log', daemon.log));
    assertUnseen(canaries.findInFiles(daemon.stateDirectory));
    for (const line of daemon.log.trimEnd().split('\n')) assert.match(line, /^<[346]>/);
  });
});

describe('a daemon with malicious peers', { concurrency: 3, skip: skipUnless(root) }, () => {
  const stranger = { uid: 3001, gid: 3001 };

  it('answers TimedOut to an incomplete message after ten seconds, and keeps an idle connection', async (t) => {
    const daemon = await startDaemon(t);
    const quiet = await RawVarlink.connect(t, daemon.socketPath);
    const slow = await RawVarlink.connect(t, daemon.socketPath, stranger);
    const since = performance.now();
    slow.send('{"method":"io.cio.Cred');
    assert.deepEqual(await slow.receive(), { error: `${CREDENTIALS}.TimedOut`, parameters: {} });
    assert.equal(await slow.receive(), undefined);
    const elapsedMs = performance.now() - since;
    assert.ok(elapsedMs > 9_000 && elapsedMs < 15_000, `${elapsedMs} ms`);
    assert.equal((await quiet.call(`${CREDENTIALS}.Status`)).error, undefined);
  });

  it('does not grow by unread answers, and serves others', async (t) => {
    const daemon = await startDaemon(t);
    const owner = await RawVarlink.connect(t, daemon.socketPath, stranger);
    const value = 'x'.repeat(VALUE_BYTES_MAX);
    await owner.call(`${CREDENTIALS}.Create`, { credentials: [{ name: 'large', value }] });
    const before = residentBytes(daemon.pid);
    const count = 150;
    for (let index = 0; index < count; index += 1) {
      const client = await RawVarlink.connect(t, daemon.socketPath, stranger);
      client.socket.pause();
      for (let call = 0; call < 10; call += 1)
        client.send({ method: `${CREDENTIALS}.Get`, parameters: { name: 'large' } });
    }
    const other = await RawVarlink.connect(t, daemon.socketPath);
    for (let round = 0; round < 200; round += 1) {
      assert.equal((await other.call(`${CREDENTIALS}.Status`)).error, undefined);
    }
    const growth = residentBytes(daemon.pid) - before;
    assert.ok(growth < count * VALUE_BYTES_MAX, `it grew by ${growth} bytes`);
  });

  it('does not grow by many long lists at once, nor delay other users for them', async (t) => {
    const daemon = await startDaemon(t);
    const owner = await RawVarlink.connect(t, daemon.socketPath, stranger);
    for (let start = 0; start < 1000; start += 250) {
      const credentials = Array.from({ length: 250 }, (_, index) => ({
        name: `cio_s3_${start + index}_access_key`,
        value: 'x'.repeat(4096),
      }));
      assert.equal((await owner.call(`${CREDENTIALS}.Create`, { credentials })).error, undefined);
    }
    const listed = (await owner.call(`${CREDENTIALS}.List`)).parameters?.['credentials'] as object[];
    assert.equal(listed.length, 1000);
    const other = await RawVarlink.connect(t, daemon.socketPath);
    const latencyMs = async (): Promise<number> => {
      const since = performance.now();
      await other.call(`${CREDENTIALS}.Status`);
      return performance.now() - since;
    };
    const before = residentBytes(daemon.pid);
    const clients = await Promise.all(
      Array.from({ length: 100 }, () => RawVarlink.connect(t, daemon.socketPath, stranger)),
    );
    for (const client of clients) client.send({ method: `${CREDENTIALS}.List` });
    const latencies: number[] = [];
    for (let round = 0; round < 10; round += 1) latencies.push(await latencyMs());
    const growth = residentBytes(daemon.pid) - before;
    const median = latencies.toSorted((a, b) => a - b)[5] ?? 0;
    assert.ok(growth < 150 * 1024 * 1024, `it grew by ${growth} bytes`);
    assert.ok(median < 150, `${median} ms for another user's Status`);
  });
});

function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
