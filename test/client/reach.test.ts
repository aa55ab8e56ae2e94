import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { openPipeTransport } from '../../client/cio/pipe-transport.ts';
import { ConnectionError, type ConnectionFailure } from '../../client/connection-error.ts';
import { openNetTransport } from '../../client/net-transport.ts';
import { reachDaemon } from '../../client/reach.ts';
import type { SocketCandidate } from '../../client/socket-path.ts';
import type { OpenTransport } from '../../client/transport.ts';
import type { Scope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';
import { Peer } from './peer.ts';

const UID = process.geteuid?.() ?? 0;
const BOUNDS = { uid: UID, timeoutMs: 10_000 };

/** Listens on a socket in a folder with mode 0700, which would be trusted. */
async function listenIn(scope: Scope, folder: string): Promise<string> {
  fs.mkdirSync(folder, { mode: 0o700, recursive: true });
  const socketPath = path.join(folder, 'socket');
  const server = net.createServer((socket) => socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  scope.after(() => void server.close());
  return socketPath;
}

function named(socketPath: string): SocketCandidate {
  return { path: socketPath, needsOwnFolder: false };
}

function inherited(socketPath: string): SocketCandidate {
  return { path: socketPath, needsOwnFolder: true };
}

for (const [name, open] of [
  ['node:net', openNetTransport],
  ['the pipe binding', openPipeTransport],
] as const satisfies (readonly [string, OpenTransport])[]) {
  describe(`reachDaemon() over ${name}`, () => {
    const reach = async (...candidates: SocketCandidate[]): Promise<string> => {
      const { transport, path } = await reachDaemon(candidates, open, BOUNDS);
      transport.destroy();
      return path;
    };
    const failsWith = (reason: ConnectionFailure, ...candidates: SocketCandidate[]): Promise<void> =>
      assert.rejects(reach(...candidates), (error) => error instanceof ConnectionError && error.reason === reason);

    it('connects to the first socket with a listener', async (t) => {
      const folder = temporaryDirectory(t);
      const first = await listenIn(t, path.join(folder, 'first'));
      const second = await listenIn(t, path.join(folder, 'second'));
      const nowhere = path.join(folder, 'nowhere', 'socket');
      assert.equal(await reach(named(first), named(second)), first);
      assert.equal(await reach(inherited(nowhere), named(second)), second);
      assert.equal(await reach(inherited(second), named(first)), second);
    });

    it('skips a stale socket', async (t) => {
      const stale = await Peer.listen(t, () => undefined);
      stale.stopListening();
      const live = await listenIn(t, path.join(temporaryDirectory(t), 'live'));
      await failsWith('refused', named(stale.path));
      assert.equal(await reach(named(stale.path), named(live)), live);
    });

    it('fails with a reason for no socket, a file, a folder, and a path that is too long', async (t) => {
      const folder = temporaryDirectory(t);
      const file = path.join(folder, 'file');
      fs.writeFileSync(file, '');
      await failsWith('not_found', named(path.join(folder, 'none')));
      await failsWith('not_found', named(path.join(file, 'socket')));
      await failsWith('refused', named(file));
      await failsWith('refused', named(folder));
      await failsWith('path_too_long', named(path.join(folder, 'x'.repeat(108 - folder.length))));
    });

    it('measures a path in bytes, not characters', async (t) => {
      const folder = temporaryDirectory(t);
      const longest = path.join(folder, 'ä'.repeat(Math.floor((107 - folder.length - 1) / 2)));
      await failsWith('not_found', named(longest));
      await failsWith('path_too_long', named(`${longest}ä`));
    });

    it('fails with the most telling reason if no socket is usable', async (t) => {
      const folder = temporaryDirectory(t);
      const none = path.join(folder, 'none');
      const stale = await Peer.listen(t, () => undefined);
      stale.stopListening();
      await failsWith('refused', named(none), named(stale.path));
      const open = path.join(folder, 'open');
      await listenIn(t, open);
      fs.chmodSync(open, 0o777);
      await failsWith('untrusted', named(none), inherited(path.join(open, 'socket')));
    });

    it('trusts an inherited folder only if nobody else can write to it', async (t) => {
      const folder = path.join(temporaryDirectory(t), 'run');
      const socket = await listenIn(t, folder);
      for (const mode of [0o777, 0o770, 0o707, 0o1777, 0o720, 0o702]) {
        fs.chmodSync(folder, mode);
        await failsWith('untrusted', inherited(socket));
      }
      for (const mode of [0o700, 0o755, 0o711]) {
        fs.chmodSync(folder, mode);
        assert.equal(await reach(inherited(socket)), socket);
      }
      assert.equal(await reach(named(socket)), socket);
    });

    it('trusts no inherited folder of another user, and no symbolic link', async (t) => {
      const folder = path.join(temporaryDirectory(t), 'run');
      const socket = await listenIn(t, folder);
      await assert.rejects(reachDaemon([inherited(socket)], open, { ...BOUNDS, uid: UID + 1 }), {
        reason: 'untrusted',
      });
      const link = path.join(path.dirname(folder), 'link');
      fs.symlinkSync(folder, link);
      await failsWith('untrusted', inherited(path.join(link, 'socket')));
    });

    it('leaves no descriptor of a folder open', async (t) => {
      const socket = await listenIn(t, path.join(temporaryDirectory(t), 'run'));
      await reach(inherited(socket));
      const before = fs.readdirSync('/proc/self/fd').length;
      await failsWith('not_found', inherited(`${socket}x`));
      await assert.rejects(reachDaemon([inherited(socket)], open, { ...BOUNDS, uid: UID + 1 }));
      assert.ok(fs.readdirSync('/proc/self/fd').length <= before);
    });

    it('does not connect if its signal is already aborted', async (t) => {
      const socket = await listenIn(t, path.join(temporaryDirectory(t), 'run'));
      const bounds = { ...BOUNDS, signal: AbortSignal.abort(new Error('enough')) };
      await assert.rejects(reachDaemon([named(socket)], open, bounds), { message: 'enough' });
    });
  });
}

describe('reachDaemon()', () => {
  const full: OpenTransport = () => Promise.reject(Object.assign(new Error('full'), { code: 'EAGAIN' }));

  it("retries while the listener's queue is full, until the time-out", async () => {
    let tries = 0;
    const counting: OpenTransport = (socketPath) => {
      tries += 1;
      return full(socketPath);
    };
    await assert.rejects(reachDaemon([named('/s')], counting, { uid: UID, timeoutMs: 50 }), { reason: 'timed_out' });
    assert.ok(tries > 1, `${tries}`);
  });

  it('stops waiting when its signal is aborted', async () => {
    const controller = new AbortController();
    const reaching = reachDaemon([named('/s')], full, { ...BOUNDS, signal: controller.signal });
    controller.abort(new Error('enough'));
    await assert.rejects(reaching, { message: 'enough' });
  });

  it('fails at a socket that it may not access, without trying the others', async () => {
    const denied: OpenTransport = () => Promise.reject(Object.assign(new Error('denied'), { code: 'EACCES' }));
    await assert.rejects(reachDaemon([named('/a'), named('/b')], denied, BOUNDS), {
      reason: 'permission',
      socket: '/a',
    });
  });
});
