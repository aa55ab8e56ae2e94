import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { Acceptor } from '../../../daemon/load/acceptor.ts';
import { duplicate } from '../../../daemon/kernel/libc.ts';
import { descriptorOf } from '../../../daemon/kernel/peer.ts';
import { eventually } from '../../support/eventually.ts';
import { runSuccessfully } from '../../support/process.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/**
 * A process in which a client connects while no file descriptors are free: whatever is released is taken at once.
 * Several attempts later, there is one descriptor to watch the socket with and none to accept. Prints whether the
 * acceptor paused between attempts then, and when the connection was accepted.
 */
const CROWDED = `
const { closeSync, openSync } = await import('node:fs');
const { connect, createServer } = await import('node:net');
const { setTimeout: pause } = await import('node:timers/promises');
const [, acceptorModule, libcModule, file] = process.argv;
const { Acceptor } = await import(acceptorModule);
const { duplicate } = await import(libcModule);
const server = createServer();
await new Promise((resolve) => server.listen(file, resolve));
const fd = duplicate(server._handle.fd);
let isCrowded = true;
let tries = 0;
const accepted = new Promise((resolve) => {
  new Acceptor(fd, () => (tries += 1), (connection) => {
    closeSync(connection);
    resolve(isCrowded ? 'early' : 'accepted');
  });
});
connect(file).on('error', () => undefined);
// Before the event loop turns, in which this server would accept the connection itself.
server.close();
const held = [];
const codes = new Set();
const crowd = () => {
  try {
    for (;;) held.push(openSync('/dev/null'));
  } catch ({ code }) {
    codes.add(code);
  }
};
crowd();
const crowding = setInterval(crowd, 1);
await pause(500);
clearInterval(crowding);
crowd();
closeSync(held.pop());
tries = 0;
const began = performance.now();
while (tries < 3) await pause(1);
const isPatient = performance.now() - began > 150;
isCrowded = false;
held.forEach((one) => closeSync(one));
process.stdout.write([...codes, isPatient ? 'patient' : 'impatient', await accepted].join(' '));
process.exit();
`;

/**
 * Makes a listening descriptor and a function that connects another peer to it. The remaining peers are closed with the
 * test.
 */
async function listening(t: TestContext): Promise<{ fd: number; connect: () => net.Socket }> {
  // An abstract socket (unix(7)): it has no file that would be removed with the server.
  const place = `\0cio-acceptor-test-${randomUUID()}`;
  const server = net.createServer();
  await new Promise<void>((resolve) => void server.listen(place, resolve));
  const fd = duplicate(descriptorOf(server));
  await new Promise((resolve) => void server.close(resolve));
  const peers: net.Socket[] = [];
  t.after(() => peers.forEach((peer) => peer.destroy()));
  const connect = (): net.Socket => {
    const peer = net.connect(place);
    peers.push(peer);
    return peer.resume().on('error', () => undefined);
  };
  return { fd, connect };
}

/** Returns the numbers of all open descriptors of this process. */
function openFiles(): string[] {
  return fs.readdirSync('/proc/self/fd');
}

describe('Acceptor', () => {
  it('accepts all peers at once, and prepares for each before accepting it', async (t) => {
    const { fd, connect } = await listening(t);
    const done: string[] = [];
    const acceptor = new Acceptor(
      fd,
      () => void done.push('prepare'),
      (connection) => {
        fs.closeSync(connection);
        done.push('accept');
      },
    );
    t.after(() => acceptor.close());
    const timers = t.mock.method(globalThis, 'setTimeout');
    const isAccepted = (count: number) => () => done.filter((what) => what === 'accept').length === count;
    for (let round = 0; round < 3; round += 1) {
      connect();
      connect();
      await eventually(isAccepted(2 * (round + 1)));
    }
    assert.equal(timers.mock.callCount(), 0, 'nobody waits where there is room');
    for (const [index, what] of done.entries()) {
      if (what === 'accept') assert.equal(done[index - 1], 'prepare');
    }
  });

  it('releases everything when it is closed, even while it accepts, and touches nothing afterwards', async (t) => {
    for (const isClosedBy of ['accepted', 'later'] as const) {
      const { fd, connect } = await listening(t);
      const before = openFiles().length;
      let accepted = 0;
      const acceptor: Acceptor = new Acceptor(
        fd,
        () => undefined,
        (connection) => {
          fs.closeSync(connection);
          accepted += 1;
          if (isClosedBy === 'accepted') acceptor.close();
        },
      );
      const [first, second] = [connect(), connect()];
      await Promise.all([first, second].map((peer) => new Promise((resolve) => peer.once('close', resolve))));
      assert.equal(accepted, isClosedBy === 'accepted' ? 1 : 2);
      acceptor.close();
      // Its own descriptor is closed, too.
      await eventually(() => openFiles().length === before - 1);
      const refused = new Promise((resolve) =>
        connect().once('error', ({ code }: NodeJS.ErrnoException) => resolve(code)),
      );
      assert.equal(await refused, 'ECONNREFUSED');
      const others = Array.from({ length: 8 }, () => fs.openSync('/dev/null', 'r'));
      acceptor.close();
      for (const other of others) fs.closeSync(other);
    }
  });

  it('lets others run between the peers of a rush, and still accepts them all', async (t) => {
    const { fd, connect } = await listening(t);
    const peers = Array.from({ length: 20 }, connect);
    await Promise.all(peers.map((peer) => new Promise((resolve) => peer.once('connect', resolve))));
    let accepted = 0;
    let acceptedBefore: number | undefined;
    const acceptor = new Acceptor(
      fd,
      () => undefined,
      (connection) => {
        fs.closeSync(connection);
        accepted += 1;
        setImmediate(() => (acceptedBefore ??= accepted));
        const end = performance.now() + 6;
        while (performance.now() < end);
      },
    );
    t.after(() => acceptor.close());
    await eventually(() => accepted === peers.length);
    assert.ok(acceptedBefore !== undefined && acceptedBefore <= 2, `${acceptedBefore} were accepted before`);
  });

  it('goes on watching once there are descriptors again, whoever took the last ones meanwhile', async (t) => {
    const modules = ['load/acceptor.ts', 'kernel/libc.ts'].map(
      (file) => new URL(`../../../daemon/${file}`, import.meta.url).href,
    );
    const node = [process.execPath, '--input-type=module', '-e', CROWDED, ...modules];
    const socket = path.join(temporaryDirectory(t), 'load');
    const limited = ['sh', '-c', 'ulimit -n 64 && exec "$@"', 'sh', ...node, socket];
    assert.equal(await runSuccessfully(limited), 'EMFILE patient accepted');
  });
});
