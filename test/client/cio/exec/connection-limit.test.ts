import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, connect, type Socket } from 'node:net';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { ConnectionLimit, ownConnections } from '../../../../client/cio/exec/connection-limit.ts';

const USER = 1000;

/**
 * Rows in the kernel's format: connections from port 0xC0DE and above to port 0x1F90, on which this process listens.
 */
const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1587 1 0000000071f50a80 100 0 0 10 0
   1: 0100007F:C0DE 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 15 1 0000000071f50a80 20 4 30 10 -1
   2: 0200007F:C0DE 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1001        0 16 1 0000000071f50a80 20 4 30 10 -1
   3: 0100007F:C0DF 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 17 1 0000000071f50a80 20 4 30 10 -1
   4: 0100007F:C0E0 0100007F:1F90 06 00000000:00000000 03:00000EA6 00000000     0        0 0 3 0000000071f50a80
   5: 0100007F:C0E1 0100007F:1F91 01 00000000:00000000 00:00000000 00000000  1000        0 18 1 0000000071f50a80 20 4 30 10 -1
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:C0E2 0000000000000000FFFF00000100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 19 1 0000000071f50a80 20 4 30 10 -1
`;

describe('ownConnections()', () => {
  it('recognises connections of this user and root by both ends, and no others', () => {
    const isOwn = ownConnections(TABLE, USER);
    for (const [remoteAddress, remotePort, localPort, expected] of [
      ['127.0.0.1', 0xc0de, 0x1f90, true],
      ['127.0.0.2', 0xc0de, 0x1f90, false],
      ['127.0.0.1', 0xc0df, 0x1f90, true],
      ['127.0.0.1', 0xc0e0, 0x1f90, false],
      ['127.0.0.1', 0xc0e1, 0x1f90, false],
      ['127.0.0.1', 0xc0e2, 0x1f90, true],
      ['127.0.0.1', 0xc0e3, 0x1f90, false],
      ['::1', 0xc0de, 0x1f90, false],
      [undefined, undefined, undefined, false],
    ] as const) {
      const connection = { remoteAddress, remotePort, localPort };
      assert.equal(isOwn(connection), expected, JSON.stringify(connection));
    }
  });

  it('reads the table of the running kernel', async (t) => {
    const accepted = await acceptOwn(t);
    const table = readFileSync('/proc/self/net/tcp', 'latin1');
    assert.equal(ownConnections(table)(accepted), true);
    // For another user, the connection is known only if this process is root's.
    assert.equal(ownConnections(table, 54_321)(accepted), process.getuid?.() === 0);
  });
});

describe('ConnectionLimit', () => {
  it('closes only the connections of strangers when the limit is exceeded', async (t) => {
    const own = await acceptOwn(t);
    const limit = new ConnectionLimit<Socket | ReturnType<typeof stray>>(2);
    const [first, second, third] = [stray(), stray(), stray()];
    limit.admit(own);
    limit.admit(first);
    assert.deepEqual([own.destroyed, first.destroyed], [false, false]);
    limit.admit(second);
    assert.deepEqual([own.destroyed, first.destroyed, second.destroyed], [false, true, true]);
    // The strangers no longer count.
    limit.admit(third);
    assert.deepEqual([own.destroyed, third.destroyed], [false, false]);
  });

  /** A connection that is not in the kernel's table. */
  const stray = (): {
    destroyed: boolean;
    remoteAddress: string;
    remotePort: number;
    localPort: number;
    destroy(): never;
  } => {
    const connection = {
      destroyed: false,
      remoteAddress: '127.0.0.1',
      remotePort: 1,
      localPort: 1,
      destroy: () => {
        connection.destroyed = true;
        return connection as never;
      },
    };
    return connection;
  };

  it('closes nothing while there is room, and only the newest connection where all are strangers or unknown', () => {
    const limit = new ConnectionLimit(2);
    const [first, second, third, fourth] = [stray(), stray(), stray(), stray()];
    limit.admit(first);
    limit.admit(second);
    assert.deepEqual([first.destroyed, second.destroyed], [false, false]);
    limit.release(first);
    limit.admit(third);
    assert.deepEqual([second.destroyed, third.destroyed], [false, false]);
    limit.admit(fourth);
    assert.deepEqual([second.destroyed, third.destroyed, fourth.destroyed], [false, false, true]);
  });
});

/** Connects to a server of this process, and returns the server's end. */
async function acceptOwn(t: TestContext): Promise<Socket> {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const client = connect(address.port, '127.0.0.1');
  t.after(() => client.destroy());
  const [accepted] = (await once(server, 'connection')) as [Socket];
  return accepted;
}
