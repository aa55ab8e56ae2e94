import assert from 'node:assert/strict';
import { readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { EXIT } from '../../src/errors.ts';
import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { assertUnseen, Canaries } from '../support/canary.ts';
import { DAEMON_SOURCE, startDaemon } from '../support/daemon.ts';
import { eventually } from '../support/eventually.ts';
import { plainEnvironment, until } from '../support/process.ts';
import { command, root, skipUnless, tracer } from '../support/requirements.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { RawVarlink } from '../support/varlink.ts';
import type { Reply } from '../support/varlink.ts';
import { CREDENTIALS, create, failure, namesIn } from './daemon-process.ts';

const REPOSITORY = join(import.meta.dirname, '..', '..');

/** A few pages of the store. */
const LARGE = 'x'.repeat(20_000);

/** As systemd starts a service with the journal as its standard error. */
const TO_JOURNAL = [
  'sh',
  '-c',
  'export JOURNAL_STREAM="$(stat -L -c %d:%i /proc/self/fd/2)"; exec "$@"',
  'sh',
  ...DAEMON_SOURCE,
];

describe('a daemon started by hand', () => {
  it('prints what to type next, for the directory that it is started in', async (t) => {
    const stateDirectory = join(temporaryDirectory(t), 'state');
    const said = async (cwd: string, command: readonly string[] = DAEMON_SOURCE): Promise<readonly string[]> => {
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
      'npx cio credential create aws',
    ]);
    const elsewhere = ['In another terminal, type:', `${join(REPOSITORY, 'bin', 'cio')} credential list`];
    assert.deepEqual(await said('/'), elsewhere);
    const removed = [
      'sh',
      '-c',
      'mkdir removed && cd removed && rmdir ../removed && exec "$@"',
      'sh',
      ...DAEMON_SOURCE,
    ];
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
    const daemon = await startDaemon(t, { command: [...limited, ...DAEMON_SOURCE] });
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
    const daemon = await startDaemon(t, {
      command: ['/bin/sh', '-c', 'exec "$@" 2>/dev/full', 'sh', ...DAEMON_SOURCE],
    });
    const client = await RawVarlink.connect(t, daemon.socketPath);
    assert.equal((await client.call(`${CREDENTIALS}.Status`)).error, undefined);
    await daemon.stop();
  });
});

describe('a daemon with a file size limit', () => {
  const withLimit = (blocks: number): readonly string[] => {
    return ['/bin/sh', '-c', `ulimit -f ${blocks}; exec "$@"`, 'sh', ...DAEMON_SOURCE];
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
    const daemon = await startDaemon(t, { command: [...strace, ...DAEMON_SOURCE] });
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
