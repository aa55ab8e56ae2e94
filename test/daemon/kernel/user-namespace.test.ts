import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { overflowId } from '../../../daemon/kernel/user-namespace.ts';
import { withIdentity } from '../../support/identity.ts';
import { Service } from '../../support/process.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const IN_NAMESPACE = ['unshare', '--user', '--map-root-user'] as const;
/** Without /proc, as in some containers or a `chroot`. */
const WITHOUT_PROC = ['--mount', '--', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh'] as const;
const HOST = '         0          0 4294967295\n';

describe('overflowId()', () => {
  for (const [what, map, overflow, expected] of [
    ['the host itself', HOST, '65534\n', undefined],
    ['a kernel without namespaces', undefined, undefined, undefined],
    ['a container with some users', '0 100000 65536\n', '65534\n', 65_534],
    ['a namespace of one user', '         0       1000          1\n', '65534\n', 65_534],
    ['several ranges that cover all ids', '0 0 1000\n1000 1000 4294966295\n', '65534\n', undefined],
    ['another overflow id set by an administrator', '0 0 1\n', '4000\n', 4000],
    ['an unreadable overflow id', '0 0 1\n', undefined, 65_534],
    ['no users at all', '', '65534\n', 65_534],
  ] as const) {
    it(`${what}: ${expected ?? 'none'}`, () => {
      assert.equal(overflowId(map, overflow), expected);
    });
  }
});

/** Containers often forbid user namespaces. */
function namespaces(): string | undefined {
  const { status } = spawnSync(IN_NAMESPACE[0], [...IN_NAMESPACE.slice(1), '--', 'true']);
  return status === 0 ? undefined : 'a user namespace cannot be made';
}

function hiddenProc(): string | undefined {
  const { status } = spawnSync(IN_NAMESPACE[0], [...IN_NAMESPACE.slice(1), ...WITHOUT_PROC, 'true']);
  return status === 0 ? undefined : '/proc cannot be hidden';
}

/** Listens as the daemon does, and sends each peer its identity. */
const SERVER = `
  const { readPeer } = await import(process.argv[1]);
  const net = await import('node:net');
  const server = net.createServer((socket) => {
    let said;
    try {
      const { uid, gid, groups } = readPeer(socket);
      said = JSON.stringify({ uid, gid, groups });
    } catch (error) {
      said = error.message;
    }
    socket.end(said);
  });
  server.listen({ path: process.argv[2], writableAll: true }, () => console.log('listening'));
`;

describe('readPeer() in a user namespace', () => {
  for (const [where, inside, requirements] of [
    ['', ['--'], [root, namespaces]],
    [', even if /proc is hidden', WITHOUT_PROC, [root, namespaces, hiddenProc]],
  ] as const) {
    const name = `refuses users without an id there, and ignores groups without one${where}`;
    it(name, { skip: skipUnless(...requirements) }, async (t) => {
      const directory = temporaryDirectory(t);
      fs.chmodSync(directory, 0o755);
      const place = path.join(directory, 's');
      const module = path.join(import.meta.dirname, '../../../daemon/kernel/peer.ts');
      const node = [process.execPath, '--input-type=module', '-e', SERVER, module, place];
      await new Service(t, [...IN_NAMESPACE, ...inside, ...node]).printed('listening');
      const ask = async (uid: number, gid: number, groups: readonly number[]): Promise<string> => {
        const socket = withIdentity({ uid, gid, groups }, () => net.connect(place));
        let said = '';
        socket.setEncoding('utf8').on('data', (text: string) => (said += text));
        await once(socket, 'close');
        return said;
      };
      assert.equal(await ask(3001, 3001, []), 'the peer is of another user namespace');
      assert.equal(await ask(65_534, 0, [0]), 'the peer is of another user namespace');
      assert.deepEqual(JSON.parse(await ask(0, 0, [0, 3001])), { uid: 0, gid: 0, groups: [0] });
      assert.deepEqual(JSON.parse(await ask(0, 3001, [])), { uid: 0, groups: [] });
    });
  }
});
