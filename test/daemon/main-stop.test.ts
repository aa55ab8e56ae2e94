import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { STORE_FILE } from '../../daemon/settings.ts';
import { STOP_TIME_MAX_MS } from '../../daemon/socket/limits.ts';
import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { DAEMON_SOURCE, startDaemon } from '../support/daemon.ts';
import type { Daemon } from '../support/daemon.ts';
import { Service } from '../support/process.ts';
import { skipUnless, tracer, tracingOfOthers } from '../support/requirements.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { RawVarlink } from '../support/varlink.ts';
import type { Reply } from '../support/varlink.ts';
import { CREDENTIALS, create, namesIn } from './daemon-process.ts';

/** Returns the name that a reply to Create acknowledges. */
function nameIn(reply: Reply | undefined): string {
  assert.equal(reply?.error, undefined);
  const { saved } = (reply?.parameters ?? {}) as { saved?: { name: string }[] };
  return saved?.[0]?.name ?? assert.fail();
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
    const command = ['sh', '-c', 'log=$1; shift; exec "$@" > "$log" 2>> "$log"', 'sh', log, ...fails, ...DAEMON_SOURCE];
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
    const daemon = await startDaemon(t, { command: [...fails, ...DAEMON_SOURCE], stateDirectory });
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
    // The socket for units comes after that for clients.
    await daemon.service.printed('listening');
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
