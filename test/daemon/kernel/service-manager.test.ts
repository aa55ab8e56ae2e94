import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { connectServiceManager } from '../../../daemon/kernel/service-manager.ts';
import type { ServiceManager } from '../../../daemon/kernel/service-manager.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** Listens like systemd: prints a line of JSON for each datagram, with the content of the passed descriptors. */
const LISTENER = `
import json, os, socket, sys
address = sys.argv[1]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind('\\0' + address[1:] if address.startswith('@') else address)
print('ready', flush=True)
while True:
    data, fds, _, _ = socket.recv_fds(listener, 4096, 4)
    print(json.dumps([data.decode(), [os.pread(fd, 100, 0).decode() for fd in fds]]), flush=True)
`;

type Datagram = readonly [text: string, passed: readonly string[]];

interface Listener {
  readonly pid: number;
  /** Returns the next datagram. */
  readonly next: () => Promise<Datagram>;
}

async function listen(t: TestContext, address: string): Promise<Listener['next']> {
  return (await startListener(t, address)).next;
}

async function startListener(t: TestContext, address: string): Promise<Listener> {
  const child = spawn('/usr/bin/python3', ['-c', LISTENER, address], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const lines = splitLines(child.stdout);
  assert.equal((await lines.next()).value, 'ready');
  assert.ok(child.pid !== undefined);
  return { pid: child.pid, next: async () => JSON.parse(String((await lines.next()).value)) as Datagram };
}

/** Fills the queue of a stopped listener with pings, calls `say`, and returns the first datagram that is not a ping. */
async function heardAfterAll(t: TestContext, say: (manager: ServiceManager) => void): Promise<Datagram> {
  const address = path.join(temporaryDirectory(t), 'notify');
  const { next, pid } = await startListener(t, address);
  const manager = connectServiceManager(address, assert.fail);
  process.kill(pid, 'SIGSTOP');
  for (let sent = 0; sent < 2000; sent += 1) manager.pingWatchdog();
  spawn('/bin/sh', ['-c', `sleep 0.05; kill -CONT ${pid}`], { stdio: 'ignore' }).unref();
  say(manager);
  let datagram: Datagram;
  do datagram = await next();
  while (datagram[0] === 'WATCHDOG=1');
  return datagram;
}

async function* splitLines(source: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of source) {
    const lines = `${rest}${chunk.toString()}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

const has = { skip: skipUnless(command('python3')) };

describe('connectServiceManager()', () => {
  for (const kind of ['a path', 'an abstract name']) {
    it(`sends the exact messages to systemd at ${kind}`, has, async (t) => {
      const file = path.join(temporaryDirectory(t), 'notify');
      const address = kind === 'a path' ? file : `@${file}`;
      const next = await listen(t, address);
      const manager = connectServiceManager(address, assert.fail);
      assert.equal(manager.storesDescriptors, true);
      manager.ready('The store is open');
      manager.status('The store is locked');
      manager.pingWatchdog();
      manager.removeDescriptor('load.plain.1');
      manager.stopping();
      for (const text of [
        'READY=1\nSTATUS=The store is open',
        'STATUS=The store is locked',
        'WATCHDOG=1',
        'FDSTOREREMOVE=1\nFDNAME=load.plain.1',
        'STOPPING=1\nSTATUS=Stopping',
      ]) {
        assert.deepEqual(await next(), [text, []]);
      }
    });
  }

  it('waits for a listener that does not read for a moment', has, async (t) => {
    const directory = temporaryDirectory(t);
    const address = path.join(directory, 'notify');
    const { next, pid } = await startListener(t, address);
    const manager = connectServiceManager(address, assert.fail);
    const fd = fs.openSync('/dev/null', 'r');
    process.kill(pid, 'SIGSTOP');
    // More than any socket buffer holds: some of these are lost.
    for (let sent = 0; sent < 2000; sent += 1) manager.pingWatchdog();
    // On a busy machine, it may wait in vain.
    const deadline = performance.now() + 20_000;
    let kept: string | undefined;
    for (let tries = 0; kept === undefined && performance.now() < deadline; tries += 1) {
      const name = `load.plain.${tries}`;
      spawn('/bin/sh', ['-c', `sleep 0.05; kill -CONT ${pid}; sleep 1`], { stdio: 'ignore' }).unref();
      if (manager.storeDescriptor(fd, name, true)) kept = name;
    }
    fs.closeSync(fd);
    assert.ok(kept !== undefined);
    let datagram: Datagram;
    do datagram = await next();
    while (datagram[0] === 'WATCHDOG=1');
    assert.deepEqual(datagram, [`FDSTORE=1\nFDNAME=${kept}`, ['']]);
  });

  it('waits once for a listener that does not read, and for a while only if the message is needed', has, async (t) => {
    const address = path.join(temporaryDirectory(t), 'notify');
    const { next, pid } = await startListener(t, address);
    const manager = connectServiceManager(address, assert.fail);
    const fd = fs.openSync('/dev/null', 'r');
    t.after(() => fs.closeSync(fd));
    process.kill(pid, 'SIGSTOP');
    for (let sent = 0; sent < 2000; sent += 1) manager.pingWatchdog();
    const pauses = t.mock.method(Atomics, 'wait');
    const waits = (say: () => unknown): boolean => {
      const before = pauses.mock.callCount();
      say();
      return pauses.mock.callCount() > before;
    };
    const now = performance.now();
    const clock = t.mock.method(performance, 'now', () => now);
    const waited = [false, false, true, false].map((isNeeded, index) =>
      waits(() => assert.equal(manager.storeDescriptor(fd, `load.plain.${index}`, isNeeded), false)),
    );
    assert.deepEqual(waited, [true, false, true, false]);
    assert.equal(
      waits(() => manager.removeDescriptor('load.plain.before')),
      false,
    );
    clock.mock.mockImplementation(() => now + 60_000);
    assert.equal(
      waits(() => manager.storeDescriptor(fd, 'load.plain.later')),
      true,
    );
    process.kill(pid, 'SIGCONT');
    // A listener that reads again gets messages at once.
    do await next();
    while (!manager.storeDescriptor(fd, 'load.plain.again'));
  });

  it('passes a copy of a descriptor', has, async (t) => {
    const directory = temporaryDirectory(t);
    const address = path.join(directory, 'notify');
    const next = await listen(t, address);
    const file = path.join(directory, 'file');
    fs.writeFileSync(file, 'what it reads as');
    const fd = fs.openSync(file, 'r');
    assert.equal(connectServiceManager(address, assert.fail).storeDescriptor(fd, 'load.plain.1'), true);
    fs.closeSync(fd);
    assert.deepEqual(await next(), ['FDSTORE=1\nFDNAME=load.plain.1', ['what it reads as']]);
  });

  it('passes no more descriptors than the listener has places for, earlier ones included', has, async (t) => {
    const address = path.join(temporaryDirectory(t), 'notify');
    await listen(t, address);
    const left = Array.from({ length: 100 }, (_, index) => `load.plain.before.${index}`);
    const manager = connectServiceManager(address, assert.fail, left);
    const fd = fs.openSync('/dev/null', 'r');
    t.after(() => fs.closeSync(fd));
    const keep = (index: number): boolean => manager.storeDescriptor(fd, `load.plain.${index}`);
    assert.deepEqual(
      Array.from({ length: 30 }, (_, index) => keep(index)),
      [...Array(28).fill(true), false, false],
    );
    manager.removeDescriptor('load.plain.before.0');
    manager.removeDescriptor('load.plain.0');
    assert.deepEqual([keep(31), keep(32), keep(33)], [true, true, false]);
  });

  it('removes a copy even if the listener does not read for a moment', has, async (t) => {
    const heard = await heardAfterAll(t, (manager) => {
      manager.removeDescriptor('load.plain.1');
      manager.ready('open');
    });
    assert.deepEqual(heard, ['FDSTOREREMOVE=1\nFDNAME=load.plain.1', []]);
  });

  it(
    'sends READY=1 even if the listener does not read for a moment: systemd would stop a unit that does not report',
    has,
    async (t) => {
      const heard = await heardAfterAll(t, (manager) => manager.ready('open'));
      assert.deepEqual(heard, ['READY=1\nSTATUS=open', []]);
    },
  );

  it('reports once why nobody listens, and that nothing is kept', (t) => {
    const directory = temporaryDirectory(t);
    const closed = path.join(directory, 'file');
    fs.writeFileSync(closed, '');
    for (const [address, reason] of [
      [path.join(directory, 'nobody'), 'no such file or directory'],
      [`@${directory}/nobody`, 'connection refused'],
      [closed, 'connection refused'],
    ] as const) {
      const reasons: string[] = [];
      const manager = connectServiceManager(address, (each) => reasons.push(each));
      assert.equal(manager.storeDescriptor(0, 'load.plain.1'), false);
      manager.ready('open');
      manager.pingWatchdog();
      manager.stopping();
      assert.deepEqual(reasons, [reason], address);
    }
  });

  it('does nothing without an address, or with an invalid one', () => {
    const reasons: string[] = [];
    for (const address of [undefined, '', 'relative', 'vsock:2:1234', `/${'x'.repeat(200)}`]) {
      const manager = connectServiceManager(address, (reason) => reasons.push(`${address?.slice(0, 8)} ${reason}`));
      assert.equal(manager.storesDescriptors, false);
      manager.ready('open');
      manager.pingWatchdog();
      manager.removeDescriptor('x');
      assert.equal(manager.storeDescriptor(0, 'load.plain.1'), false);
    }
    const told = ['relative', 'vsock:2:', '/xxxxxxx'].map((start) => `${start} it is not the address of a Unix socket`);
    assert.deepEqual(reasons, told);
  });
});
