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

/** Hears like systemd: one line of JSON for each datagram, with what the descriptors in it read as. */
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
  /** What comes in, in order. */
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

/** What one hears first, after all pings, who does not read for a moment while it is said. */
async function heardAfterAll(t: TestContext, say: (manager: ServiceManager) => void): Promise<Datagram> {
  const address = path.join(temporaryDirectory(t), 'notify');
  const { next, pid } = await startListener(t, address);
  const manager = connectServiceManager(address, assert.fail);
  process.kill(pid, 'SIGSTOP');
  for (let sent = 0; sent < 2000; sent += 1) manager.alive();
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
    it(`tells systemd at ${kind}, word for word`, has, async (t) => {
      const file = path.join(temporaryDirectory(t), 'notify');
      const address = kind === 'a path' ? file : `@${file}`;
      const next = await listen(t, address);
      const manager = connectServiceManager(address, assert.fail);
      assert.equal(manager.keepsDescriptors, true);
      manager.ready('The store is open');
      manager.status('The store is locked');
      manager.alive();
      manager.release('load.plain.1');
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

  it('waits for one that is busy, and does not read for a moment', has, async (t) => {
    const directory = temporaryDirectory(t);
    const address = path.join(directory, 'notify');
    const { next, pid } = await startListener(t, address);
    const manager = connectServiceManager(address, assert.fail);
    const fd = fs.openSync('/dev/null', 'r');
    process.kill(pid, 'SIGSTOP');
    // More than any queue has places: of these, some are lost.
    for (let sent = 0; sent < 2000; sent += 1) manager.alive();
    // On a machine that is busy as well, it may wait in vain.
    const deadline = performance.now() + 20_000;
    let kept: string | undefined;
    for (let tries = 0; kept === undefined && performance.now() < deadline; tries += 1) {
      const name = `load.plain.${tries}`;
      spawn('/bin/sh', ['-c', `sleep 0.05; kill -CONT ${pid}; sleep 1`], { stdio: 'ignore' }).unref();
      if (manager.keep(fd, name, true)) kept = name;
    }
    fs.closeSync(fd);
    assert.ok(kept !== undefined);
    let datagram: Datagram;
    do datagram = await next();
    while (datagram[0] === 'WATCHDOG=1');
    assert.deepEqual(datagram, [`FDSTORE=1\nFDNAME=${kept}`, ['']]);
  });

  it('waits once for one that reads nothing, and then for a while only where it must', has, async (t) => {
    const address = path.join(temporaryDirectory(t), 'notify');
    const { next, pid } = await startListener(t, address);
    const manager = connectServiceManager(address, assert.fail);
    const fd = fs.openSync('/dev/null', 'r');
    t.after(() => fs.closeSync(fd));
    process.kill(pid, 'SIGSTOP');
    for (let sent = 0; sent < 2000; sent += 1) manager.alive();
    const pauses = t.mock.method(Atomics, 'wait');
    const waits = (say: () => unknown): boolean => {
      const before = pauses.mock.callCount();
      say();
      return pauses.mock.callCount() > before;
    };
    const now = performance.now();
    const clock = t.mock.method(performance, 'now', () => now);
    const waited = [false, false, true, false].map((isNeeded, index) =>
      waits(() => assert.equal(manager.keep(fd, `load.plain.${index}`, isNeeded), false)),
    );
    assert.deepEqual(waited, [true, false, true, false]);
    assert.equal(
      waits(() => manager.release('load.plain.before')),
      false,
    );
    clock.mock.mockImplementation(() => now + 60_000);
    assert.equal(
      waits(() => manager.keep(fd, 'load.plain.later')),
      true,
    );
    process.kill(pid, 'SIGCONT');
    // One that reads again has them at once.
    do await next();
    while (!manager.keep(fd, 'load.plain.again'));
  });

  it('leaves a copy of a descriptor with it', has, async (t) => {
    const directory = temporaryDirectory(t);
    const address = path.join(directory, 'notify');
    const next = await listen(t, address);
    const file = path.join(directory, 'file');
    fs.writeFileSync(file, 'what it reads as');
    const fd = fs.openSync(file, 'r');
    assert.equal(connectServiceManager(address, assert.fail).keep(fd, 'load.plain.1'), true);
    fs.closeSync(fd);
    assert.deepEqual(await next(), ['FDSTORE=1\nFDNAME=load.plain.1', ['what it reads as']]);
  });

  it('leaves no more with it than it has places for, counting what was left before', has, async (t) => {
    const address = path.join(temporaryDirectory(t), 'notify');
    await listen(t, address);
    const left = Array.from({ length: 100 }, (_, index) => `load.plain.before.${index}`);
    const manager = connectServiceManager(address, assert.fail, left);
    const fd = fs.openSync('/dev/null', 'r');
    t.after(() => fs.closeSync(fd));
    const keep = (index: number): boolean => manager.keep(fd, `load.plain.${index}`);
    assert.deepEqual(
      Array.from({ length: 30 }, (_, index) => keep(index)),
      [...Array(28).fill(true), false, false],
    );
    manager.release('load.plain.before.0');
    manager.release('load.plain.0');
    assert.deepEqual([keep(31), keep(32), keep(33)], [true, true, false]);
  });

  it('has it forget a copy, also where it does not read for a moment', has, async (t) => {
    const heard = await heardAfterAll(t, (manager) => {
      manager.release('load.plain.1');
      manager.ready('open');
    });
    assert.deepEqual(heard, ['FDSTOREREMOVE=1\nFDNAME=load.plain.1', []]);
  });

  it(
    'says ready to one that does not read for a moment: it would end a unit that it did not hear of',
    has,
    async (t) => {
      const heard = await heardAfterAll(t, (manager) => manager.ready('open'));
      assert.deepEqual(heard, ['READY=1\nSTATUS=open', []]);
    },
  );

  it('says once why nobody hears it, and that nothing is kept', (t) => {
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
      assert.equal(manager.keep(0, 'load.plain.1'), false);
      manager.ready('open');
      manager.alive();
      manager.stopping();
      assert.deepEqual(reasons, [reason], address);
    }
  });

  it('is nobody without an address, or with one that is none', () => {
    const reasons: string[] = [];
    for (const address of [undefined, '', 'relative', 'vsock:2:1234', `/${'x'.repeat(200)}`]) {
      const manager = connectServiceManager(address, (reason) => reasons.push(`${address?.slice(0, 8)} ${reason}`));
      assert.equal(manager.keepsDescriptors, false);
      manager.ready('open');
      manager.alive();
      manager.release('x');
      assert.equal(manager.keep(0, 'load.plain.1'), false);
    }
    const told = ['relative', 'vsock:2:', '/xxxxxxx'].map((start) => `${start} it is no address of a Unix socket`);
    assert.deepEqual(reasons, told);
  });
});
