import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import type { Peer } from '../../../daemon/kernel/peer.ts';
import { UntrustedPeerError, authenticateRequest } from '../../../daemon/load/authenticate-request.ts';
import type { ServedManager } from '../../../daemon/load/authenticate-request.ts';
import { command, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const SYSTEM: ServedManager = { kind: 'system', uid: 994 };
const ALICES: ServedManager = { kind: 'user', uid: 1000 };
const CLIENT = `
import socket, sys
peer = socket.socket(socket.AF_UNIX)
if sys.argv[2]: peer.bind(b'\\0' + sys.argv[2].encode())
peer.connect(sys.argv[1])
peer.recv(1)
`;

const has = { skip: skipUnless(command('python3')) };

/** Returns the server's end of a connection from an abstract address (without its NUL), or from none if it is empty. */
async function connectionFrom(t: TestContext, address: string): Promise<net.Socket> {
  const server = net.createServer();
  const file = path.join(temporaryDirectory(t), 's');
  await new Promise<void>((resolve) => server.listen(file, resolve));
  const child = spawn('/usr/bin/python3', ['-c', CLIENT, file, address], { stdio: 'inherit' });
  const ended = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    server.close();
    await ended;
  });
  const gone = ended.then(() => assert.fail('it could not connect'));
  const [socket] = (await Promise.race([once(server, 'connection'), gone])) as [net.Socket];
  t.after(() => void socket.destroy());
  return socket;
}

function peer(uid: number, unit?: string, userUnit?: string): Peer {
  return { pid: 1, uid, gid: uid, groups: [], unit: () => unit, userUnit: () => userUnit };
}

describe('authenticateRequest()', () => {
  it('believes the host’s systemd, which connects as root from within the unit', has, async (t) => {
    const socket = await connectionFrom(t, 'adf9/unit/restic@home.service/aws.env');
    const request = { unit: 'restic@home.service', id: 'aws.env' };
    assert.deepEqual(authenticateRequest(socket, peer(0, 'restic@home.service'), SYSTEM), request);
  });

  it('believes a user’s systemd if the daemon runs as that user', has, async (t) => {
    const socket = await connectionFrom(t, 'adf9/unit/restic.service/token');
    const fromAlice = peer(1000, 'user@1000.service', 'restic.service');
    assert.deepEqual(authenticateRequest(socket, fromAlice, ALICES), { unit: 'restic.service', id: 'token' });
    for (const [who, manager] of [
      [fromAlice, SYSTEM],
      [peer(1001, 'user@1001.service', 'restic.service'), ALICES],
      [peer(1000, 'restic.service', undefined), ALICES],
      [peer(1000, 'user@1000.service', 'other.service'), ALICES],
      [peer(0, 'restic.service'), ALICES],
    ] as const) {
      assert.throws(() => authenticateRequest(socket, who, manager), UntrustedPeerError);
    }
  });

  it('believes no peer in another unit or none, or with another uid than root', has, async (t) => {
    const socket = await connectionFrom(t, 'adf9/unit/restic.service/token');
    for (const who of [
      peer(0, 'other.service'),
      peer(0, 'restic@.service'),
      peer(0, 'restic.service.service'),
      peer(0, 'x-restic.service'),
      peer(0, 'session-3.scope'),
      peer(0),
      peer(0, 'user@0.service', 'restic.service'),
      peer(1000, 'restic.service'),
      peer(994, 'restic.service'),
      peer(994, 'user@994.service', 'restic.service'),
    ]) {
      assert.throws(() => authenticateRequest(socket, who, SYSTEM), UntrustedPeerError, JSON.stringify(who));
    }
  });

  it('believes no peer without an address of systemd’s form', has, async (t) => {
    for (const address of ['', 'restic.service/token', 'adf9/unit/restic.service', 'adf9/unit/restic.service/a/b']) {
      const socket = await connectionFrom(t, address);
      assert.throws(() => authenticateRequest(socket, peer(0, 'restic.service'), SYSTEM), UntrustedPeerError, address);
    }
  });
});
