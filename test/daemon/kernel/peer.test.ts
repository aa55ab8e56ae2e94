import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { readPeer } from '../../../daemon/kernel/peer.ts';
import { unitOfCgroup } from '../../../daemon/kernel/unit.ts';
import { eventually } from '../../support/eventually.ts';
import { withIdentity } from '../../support/identity.ts';
import type { Identity } from '../../support/identity.ts';
import { Service } from '../../support/process.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import type { Requirement } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const CONNECT = `
  const socket = require('node:net').connect(process.argv[1], () => console.log('connected'));
  socket.on('error', () => undefined);
`;
/** Prints why the first peer is refused, or that it is not. */
const READ_PEER = `
  const { readPeer } = await import(process.argv[1]);
  const net = await import('node:net');
  const server = net.createServer((socket) => {
    let said = 'he is not refused';
    try {
      readPeer(socket);
    } catch (error) {
      said = error.message;
    }
    socket.end(said);
  });
  server.listen(process.argv[2], () => console.log('listening'));
`;
const IN_PROCESS_NAMESPACE = ['unshare', '--pid', '--fork', '--kill-child', '--'] as const;
const LAST_PID = '/proc/sys/kernel/ns_last_pid';

interface Listening {
  readonly path: string;
  /** Returns the next connection, as the daemon gets it. */
  readonly accept: () => Promise<net.Socket>;
}

async function listen(t: TestContext): Promise<Listening> {
  const directory = temporaryDirectory(t);
  fs.chmodSync(directory, 0o755);
  const place = path.join(directory, 's');
  const server = net.createServer({ allowHalfOpen: true });
  const sockets: net.Socket[] = [];
  server.on('connection', (socket) => void sockets.push(socket));
  server.listen({ path: place, writableAll: true });
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  let taken = 0;
  const accept = async (): Promise<net.Socket> => {
    if (sockets.length <= taken) await once(server, 'connection');
    taken += 1;
    return sockets[taken - 1] ?? assert.fail();
  };
  return { path: place, accept };
}

function dial(t: TestContext, place: string, as?: Identity): void {
  const connect = (): net.Socket => net.connect(place);
  const socket = as === undefined ? connect() : withIdentity(as, connect);
  socket.on('error', () => undefined);
  t.after(() => void socket.destroy());
}

/** Returns a cgroup hierarchy that systemd does not manage, in which this test can put processes into units. */
function freeCgroups(): string | undefined {
  if (fs.existsSync('/run/systemd/system')) return undefined;
  return ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup'].find((directory) =>
    isWritable(path.join(directory, 'cgroup.procs')),
  );
}

/** In a container, the hierarchy is usually mounted read-only, even for root. */
function isWritable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

const cgroups: Requirement = () =>
  freeCgroups() === undefined ? 'cgroups that can be written and that systemd does not manage' : undefined;
/** Containers often forbid process namespaces. */
const processNamespaces: Requirement = () => {
  const [file, ...args] = IN_PROCESS_NAMESPACE;
  return spawnSync(file, [...args, 'true']).status === 0 ? undefined : 'a process namespace cannot be made';
};
const recycling: Requirement = () => (fs.existsSync(LAST_PID) ? undefined : 'a kernel with checkpoint and restore');

/** Puts a process into the cgroup of a made-up unit. */
function putIntoUnit(t: TestContext, pid: number, unit: string): void {
  const slice = path.join(freeCgroups() ?? '', 'cio-test.slice');
  const directory = path.join(slice, unit);
  fs.mkdirSync(directory, { recursive: true });
  fs.writeFileSync(path.join(directory, 'cgroup.procs'), `${pid}`);
  t.after(async () => {
    // The kernel takes a moment to remove processes that have ended from the cgroup.
    for (let attempt = 0; attempt < 200; attempt += 1) {
      try {
        fs.rmdirSync(directory);
        fs.rmdirSync(slice);
        return;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code ?? '';
        if (code === 'ENOENT' || code === 'ENOTEMPTY') return;
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  });
}

/** Returns the text of /proc/PID/stat with other numbers in the given fields. */
function withOthers(stat: string, fields: readonly number[]): string {
  const start = stat.lastIndexOf(')') + 2;
  const texts = stat.slice(start).trimEnd().split(' ');
  const changed = texts.map((text, index) => (fields.includes(index + 3) ? `${text}1` : text));
  return `${stat.slice(0, start)}${changed.join(' ')}\n`;
}

describe('readPeer()', () => {
  it('identifies this process', async (t) => {
    const { path: place, accept } = await listen(t);
    dial(t, place);
    const peer = readPeer(await accept());
    const { pid, uid, gid, groups } = peer;
    assert.deepEqual([pid, uid, gid], [process.pid, process.geteuid?.(), process.getegid?.()]);
    // Node adds the primary group of the process to them.
    assert.deepEqual(new Set([...groups, gid]), new Set([...(process.getgroups?.() ?? []), gid]));
    assert.equal(peer.unit(), unitOfCgroup(fs.readFileSync('/proc/self/cgroup', 'latin1')));
  });

  it('returns the identity and groups at the moment of the connection', { skip: skipUnless(root) }, async (t) => {
    const { path: place, accept } = await listen(t);
    const identities = [
      { uid: 1234, gid: 2345, groups: [] },
      { uid: 65_534, gid: 65_534, groups: [27, 1000, 4_000_000_000] },
      { uid: 4_294_967_294, gid: 1, groups: Array.from({ length: 300 }, (_, index) => index + 5) },
    ];
    for (const identity of identities) {
      dial(t, place, identity);
      const { uid, gid, groups } = readPeer(await accept());
      assert.deepEqual({ uid, gid, groups: [...groups] }, identity);
    }
  });

  it('refuses a peer with more groups than the limit', { skip: skipUnless(root) }, async (t) => {
    const { path: place, accept } = await listen(t);
    dial(t, place, { uid: 1, gid: 1, groups: Array.from({ length: 4097 }, (_, index) => index + 5) });
    const socket = await accept();
    assert.throws(() => readPeer(socket), /^UnknownPeerError: the peer has more than 4096 groups$/);
  });

  it('returns the pid of the connecting process, and no unit once it is gone', async (t) => {
    const { path: place, accept } = await listen(t);
    const client = new Service(t, [process.execPath, '-e', CONNECT, place]);
    const socket = await accept();
    const [early, late] = [readPeer(socket), readPeer(socket)];
    assert.equal(early.pid, client.pid);
    early.unit();
    await client.stop('SIGKILL');
    assert.equal(late.unit(), undefined);
    assert.equal(readPeer(socket).unit(), undefined);
  });

  it('throws if the descriptor is closed', async (t) => {
    const { path: place, accept } = await listen(t);
    dial(t, place);
    const socket = await accept();
    socket.destroy();
    assert.throws(() => readPeer(socket), /no descriptor/);
    assert.throws(() => readPeer(new net.Socket()), /no descriptor/);
  });

  it(
    'throws if the peer has no pid in this namespace: another process could have the pid it seems to have',
    { skip: skipUnless(processNamespaces) },
    async (t) => {
      const place = path.join(temporaryDirectory(t), 's');
      const module = path.join(import.meta.dirname, '../../../daemon/kernel/peer.ts');
      const node = [process.execPath, '--input-type=module', '-e', READ_PEER, module, place];
      await new Service(t, [...IN_PROCESS_NAMESPACE, ...node]).printed('listening');
      const socket = net.connect(place);
      let said = '';
      socket.setEncoding('utf8').on('data', (text: string) => (said += text));
      await once(socket, 'close');
      assert.equal(said, 'the peer is of another process namespace');
    },
  );

  it('throws on a socket whose peer is not a process of this host', async (t) => {
    const server = net.createServer().listen(0, '127.0.0.1');
    t.after(() => void server.close());
    await once(server, 'listening');
    const client = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
    t.after(() => void client.destroy());
    const [socket] = (await once(server, 'connection')) as [net.Socket];
    t.after(() => void socket.destroy());
    assert.throws(() => readPeer(socket));
  });
});

describe('Peer.unit()', () => {
  it(
    'is undefined if the process has changed its uid since it connected',
    { skip: skipUnless(root, cgroups) },
    async (t) => {
      const { path: place, accept } = await listen(t);
      // The name of the process precedes the Uid line in /proc/PID/status, and a naive parser could take it for one.
      const becomeAlice = `process.title = '\\rUid: 0 1234'; process.seteuid(1234); ${CONNECT} socket.on('connect', () => process.seteuid(0));`;
      const client = new Service(t, [process.execPath, '-e', becomeAlice, place]);
      await client.printed('connected');
      putIntoUnit(t, client.pid, 'cio-test-c.service');
      await eventually(() => fs.readFileSync(`/proc/${client.pid}/status`, 'latin1').includes('Uid:\t0\t0\t'));
      const peer = readPeer(await accept());
      assert.deepEqual([peer.pid, peer.uid, peer.unit()], [client.pid, 1234, undefined]);
    },
  );

  it('is the unit of the process, looked up once', { skip: skipUnless(root, cgroups) }, async (t) => {
    const { path: place, accept } = await listen(t);
    const client = new Service(t, [process.execPath, '-e', CONNECT, place]);
    const socket = await accept();
    putIntoUnit(t, client.pid, 'cio-test-a@one.service');
    const peer = readPeer(socket);
    assert.equal(peer.unit(), 'cio-test-a@one.service');
    putIntoUnit(t, client.pid, 'cio-test-b.service');
    assert.equal(peer.unit(), 'cio-test-a@one.service');
    assert.equal(readPeer(socket).unit(), 'cio-test-b.service');
    const open = fs.readdirSync('/proc/self/fd').length;
    readPeer(socket).unit();
    assert.equal(fs.readdirSync('/proc/self/fd').length, open, 'no descriptor stays behind');
  });

  it(
    'is undefined if the start time of the process differs before or after the look-up: an old kernel may not report a reused pid',
    { skip: skipUnless(root, cgroups) },
    async (t) => {
      const { path: place, accept } = await listen(t);
      const named = `process.title = 'a) b (c'; ${CONNECT}`;
      const client = new Service(t, [process.execPath, '-e', named, place]);
      const socket = await accept();
      putIntoUnit(t, client.pid, 'cio-test-d.service');
      // The fields of proc_pid_stat(5) that are changed before and after the cgroup is read.
      let before: readonly number[] = [];
      let after: readonly number[] = [];
      const { readFileSync } = fs;
      const reading = t.mock.method(fs, 'readFileSync', (file: string, encoding: 'latin1') => {
        const text = readFileSync(file, encoding);
        if (file === `/proc/${client.pid}/cgroup`) before = after;
        return file === `/proc/${client.pid}/stat` ? withOthers(text, before) : text;
      });
      syncBuiltinESMExports();
      t.after(() => {
        reading.mock.restore();
        syncBuiltinESMExports();
      });
      const START_TIME_FIELD = 22;
      const others = Array.from({ length: 45 }, (_, index) => index + 4).filter((field) => field !== START_TIME_FIELD);
      const unitWhere = (first: readonly number[], second: readonly number[]): string | undefined => {
        before = [];
        const peer = readPeer(socket);
        [before, after] = [first, second];
        return peer.unit();
      };
      assert.equal(unitWhere([], []), 'cio-test-d.service');
      assert.equal(unitWhere(others, others), 'cio-test-d.service');
      assert.equal(unitWhere([START_TIME_FIELD], []), undefined);
      assert.equal(unitWhere([], [START_TIME_FIELD]), undefined);
    },
  );

  it(
    'is not that of another process that got the same pid',
    { skip: skipUnless(root, cgroups, recycling) },
    async (t) => {
      const { path: place, accept } = await listen(t);
      const client = new Service(t, [process.execPath, '-e', CONNECT, place]);
      const socket = await accept();
      const before = readPeer(socket);
      const { pid } = before;
      await client.stop('SIGKILL');
      // The pid is free now, and the kernel is told to assign it next, but another process may get it first.
      let isRecycled = false;
      for (let attempt = 0; attempt < 200 && !isRecycled; attempt += 1) {
        fs.writeFileSync(LAST_PID, `${pid - 1}`);
        const process_ = spawn('/bin/sleep', ['60'], { stdio: 'ignore' });
        const exited = once(process_, 'exit');
        isRecycled = process_.pid === pid;
        if (!isRecycled) process_.kill('SIGKILL');
        else
          t.after(async () => {
            process_.kill('SIGKILL');
            await exited;
          });
        if (!isRecycled) await exited;
      }
      if (!isRecycled) return t.skip('the number was not given out again');
      putIntoUnit(t, pid, 'cio-test-victim.service');
      assert.equal(unitOfCgroup(fs.readFileSync(`/proc/${pid}/cgroup`, 'latin1')), 'cio-test-victim.service');
      assert.equal(before.unit(), undefined, 'read before it was recycled');
      const after = readPeer(socket);
      assert.equal(after.pid, pid);
      assert.equal(after.unit(), undefined, 'read after it was recycled');
    },
  );
});
