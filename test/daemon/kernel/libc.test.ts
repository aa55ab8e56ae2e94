import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { getSystemErrorName } from 'node:util';
import {
  Datagram,
  SystemError,
  dropCachedPages,
  duplicate,
  fileIdentity,
  getPeerAddress,
  getSocketOption,
  hungUp,
  lockPages,
  openDatagramSocket,
  runInBackground,
  setSocketOption,
  tryLockFile,
  waitUntilWritable,
} from '../../../daemon/kernel/libc.ts';
import { descriptorOf } from '../../../daemon/kernel/peer.ts';
import { COMPILING, SLOW_COMPILER } from '../../support/compiling.ts';
import { eventually } from '../../support/eventually.ts';
import { run, runSuccessfully } from '../../support/process.ts';
import { lockedMemory, root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

/** The flag of close-on-exec, as in fdinfo (open(2)). */
const O_CLOEXEC = 0o2000000;

const MODULE = new URL('../../../daemon/kernel/libc.ts', import.meta.url).href;
const EBADF = 9;
const ESRCH = 3;
const ENOPROTOOPT = 92;
const ENOTSOCK = 88;
const SO_TYPE = 3;
const SO_ERROR = 4;

function errorNumber(action: () => unknown): number {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof SystemError, String(error));
    assert.equal(error.code, getSystemErrorName(-error.errno));
    assert.ok(error.message.endsWith(` failed (${error.code})`), error.message);
    return error.errno;
  }
  return assert.fail('it did not fail');
}

function lockedKibibytes(): number {
  return Number(/^VmLck:\s+(\d+) kB/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

describe('fileIdentity()', () => {
  it('changes if another file takes its place, and stays the same while the file is written', (t) => {
    const file = path.join(temporaryDirectory(t), 'file');
    assert.equal(fileIdentity(file), undefined);
    fs.writeFileSync(file, 'first');
    const first = fileIdentity(file);
    assert.ok(first?.endsWith(`.${fs.statSync(file).ino}`), first);
    fs.appendFileSync(file, 'more');
    assert.equal(fileIdentity(file), first);
    fs.writeFileSync(`${file}-other`, 'second');
    fs.renameSync(`${file}-other`, file);
    assert.notEqual(fileIdentity(file), first);
    assert.equal(fileIdentity(path.join(file, 'below')), undefined);
  });

  it('throws what else the system says', (t) => {
    const file = path.join(temporaryDirectory(t), 'file');
    fs.symlinkSync(file, file);
    assert.equal(
      errorNumber(() => fileIdentity(file)),
      os.constants.errno.ELOOP,
    );
  });
});

describe('dropCachedPages()', () => {
  it('keeps the content of a file, and refuses an invalid descriptor', (t) => {
    const file = path.join(temporaryDirectory(t), 'file');
    fs.writeFileSync(file, 'text');
    const fd = fs.openSync(file, 'r');
    t.after(() => fs.closeSync(fd));
    dropCachedPages(fd);
    assert.equal(fs.readFileSync(fd, 'utf8'), 'text');
    assert.equal(
      errorNumber(() => dropCachedPages(-1)),
      EBADF,
    );
  });
});

describe('getSocketOption()', () => {
  it('reads an option of any length', async (t) => {
    const server = net.createServer().listen(path.join(temporaryDirectory(t), 's'));
    t.after(() => void server.close());
    await new Promise((resolve) => server.once('listening', resolve));
    const fd = (server as unknown as { _handle: { fd: number } })._handle.fd;
    const type = getSocketOption(fd, SO_TYPE, 64);
    assert.deepEqual([type.length, type.readInt32LE()], [4, 1]);
    assert.equal(
      errorNumber(() => getSocketOption(fd, 9999, 4)),
      ENOPROTOOPT,
    );
  });

  it('allocates no more than the size of an option, and shares no memory between calls', async (t) => {
    const { server } = await connect(t);
    const fd = descriptorOf(server);
    const [asked, most] = [500, 16 * 1024];
    const type = getSocketOption(fd, SO_TYPE, most);
    const before = process.memoryUsage().arrayBuffers;
    for (let count = 0; count < asked; count += 1) getSocketOption(fd, SO_ERROR, most);
    assert.ok(process.memoryUsage().arrayBuffers - before < (asked * most) / 10);
    assert.equal(type.readInt32LE(), 1);
    assert.throws(() => getSocketOption(fd, SO_TYPE, most + 1), RangeError);
  });

  it('throws with the errno', (t) => {
    assert.equal(
      errorNumber(() => getSocketOption(-1, SO_TYPE, 4)),
      EBADF,
    );
    const file = fs.openSync(path.join(temporaryDirectory(t), 'f'), 'w');
    assert.equal(
      errorNumber(() => getSocketOption(file, SO_TYPE, 4)),
      ENOTSOCK,
    );
    fs.closeSync(file);
  });
});

/** Returns both ends of a connection. */
async function connect(t: TestContext): Promise<{ server: net.Socket; client: net.Socket }> {
  const listener = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const file = path.join(temporaryDirectory(t), 's');
  await new Promise<void>((resolve) => listener.listen(file, resolve));
  const accepted = new Promise<net.Socket>((resolve) => listener.once('connection', resolve));
  const client = net.connect({ path: file, allowHalfOpen: true });
  const server = await accepted;
  t.after(() => {
    client.destroy();
    server.destroy();
    listener.close();
  });
  return { server, client };
}

describe('setSocketOption()', () => {
  it('sets an option that getSocketOption() reads', async (t) => {
    const fd = descriptorOf((await connect(t)).server);
    const SO_PRIORITY = 12;
    assert.equal(getSocketOption(fd, SO_PRIORITY, 4).readInt32LE(), 0);
    setSocketOption(fd, SO_PRIORITY, 1);
    assert.equal(getSocketOption(fd, SO_PRIORITY, 4).readInt32LE(), 1);
    assert.equal(
      errorNumber(() => setSocketOption(-1, SO_PRIORITY, 1)),
      EBADF,
    );
  });
});

describe('getPeerAddress()', () => {
  it('is empty for a peer without an address', async (t) => {
    const { server, client } = await connect(t);
    assert.deepEqual(getPeerAddress(descriptorOf(server)), Buffer.alloc(0));
    const listening = getPeerAddress(descriptorOf(client)).toString();
    assert.match(listening, /^\/.*\/s\0$/);
    assert.equal(
      errorNumber(() => getPeerAddress(-1)),
      EBADF,
    );
  });
});

describe('hungUp()', () => {
  it('returns descriptors whose peers are gone, but not those whose peers only half-closed', async (t) => {
    const gone = await connect(t);
    const half = await connect(t);
    const open = await connect(t);
    gone.client.destroy();
    half.client.end();
    const fds = [gone, half, open].map(({ server }) => descriptorOf(server));
    await eventually(() => hungUp(fds).length > 0);
    assert.deepEqual(hungUp(fds), [fds[0]]);
    assert.deepEqual(hungUp([]), []);
  });
});

describe('waitUntilWritable()', () => {
  it('waits at most for the given time, and not at all if there is nothing to wait for', async (t) => {
    const { server, client } = await connect(t);
    const fd = descriptorOf(server);
    client.pause();
    assert.equal(waitUntilWritable(fd, 0), true);
    const fill = Buffer.alloc(65_536);
    assert.throws(() => {
      for (;;) fs.writeSync(fd, fill);
    }, /EAGAIN/);
    const start = performance.now();
    assert.equal(waitUntilWritable(fd, 50), false);
    assert.ok(performance.now() - start >= 49);
    client.destroy();
    await new Promise((resolve) => client.once('close', resolve));
    assert.equal(waitUntilWritable(fd, 10_000), true, 'the peer is gone');
  });
});

describe('duplicate()', () => {
  it('returns a copy that child processes do not inherit', (t) => {
    const file = fs.openSync(import.meta.filename, 'r');
    t.after(() => fs.closeSync(file));
    const copy = duplicate(file);
    t.after(() => fs.closeSync(copy));
    assert.notEqual(copy, file);
    assert.equal(fs.fstatSync(copy).ino, fs.fstatSync(file).ino);
    const flags = /^flags:\s+(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${copy}`, 'latin1'))?.[1];
    assert.notEqual(Number.parseInt(flags ?? '', 8) & O_CLOEXEC, 0);
  });

  it('throws for a descriptor that is not open', () => {
    assert.throws(() => duplicate(-1), { code: 'EBADF' });
  });
});

describe('Datagram', () => {
  it('throws if nobody listens', (t) => {
    const socket = openDatagramSocket();
    const ENOENT = 2;
    const address = Buffer.from(path.join(temporaryDirectory(t), 'nobody'));
    const send = (fd: number): void => {
      const datagram = new Datagram(fd, address, 10);
      datagram.send(datagram.text.write('text'));
    };
    assert.equal(
      errorNumber(() => send(socket)),
      ENOENT,
    );
    assert.equal(
      errorNumber(() => send(-1)),
      EBADF,
    );
    fs.closeSync(socket);
  });
});

describe('lockPages()', () => {
  it('locks the pages that hold the bytes', () => {
    const before = lockedKibibytes();
    const bytes = new Uint8Array(new ArrayBuffer(64 * 1024));
    lockPages(bytes);
    assert.ok(lockedKibibytes() - before >= 64);
    assert.equal(bytes.length, 64 * 1024);
  });

  it('throws if RLIMIT_MEMLOCK forbids it', { skip: skipUnless(root, lockedMemory) }, async () => {
    const script = `
      const { lockPages } = await import(process.argv[1]);
      try { lockPages(new Uint8Array(new ArrayBuffer(1024 * 1024))); console.log('locked'); }
      catch (error) { console.log(error.name, error.errno); }
    `;
    const node = ['prlimit', '--memlock=4096', process.execPath, '--input-type=module', '-e', script, MODULE];
    const { stdout, stderr } = await run(asReader(node));
    assert.equal(stdout.toString(), 'SystemError 12\n', stderr);
  });
});

describe('tryLockFile()', () => {
  it('locks a file for one descriptor at a time', (t) => {
    const file = path.join(temporaryDirectory(t), 'lock');
    const [a, b] = [fs.openSync(file, 'w'), fs.openSync(file, 'w')];
    assert.equal(tryLockFile(a), true);
    assert.equal(tryLockFile(a), true);
    assert.equal(tryLockFile(b), false);
    fs.closeSync(a);
    assert.equal(tryLockFile(b), true);
    fs.closeSync(b);
    assert.equal(
      errorNumber(() => tryLockFile(-1)),
      EBADF,
    );
  });

  it('is not inherited by started programs', (t) => {
    const file = path.join(temporaryDirectory(t), 'lock');
    const held = fs.openSync(file, 'w');
    assert.ok(tryLockFile(held));
    const descriptors = execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });
    assert.ok(!descriptors.includes(file));
    fs.closeSync(held);
  });
});

describe('trimHeap()', () => {
  it('gives back freed memory between blocks in use', async () => {
    const script = `
      const { trimHeap } = await import(process.argv[1]);
      const blocks = Array.from({ length: 1000 }, () => Buffer.alloc(60 * 1024, 1));
      for (let index = 0; index < blocks.length; index += 1) if (index % 10 !== 0) blocks[index] = undefined;
      // V8 frees them in another thread.
      while (process.memoryUsage().arrayBuffers > 10e6) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const before = process.memoryUsage.rss();
      trimHeap();
      console.log(before - process.memoryUsage.rss());
    `;
    const argv = [process.execPath, '--expose-gc', '--input-type=module', '-e', script, MODULE];
    // As set by the launcher: otherwise glibc adjusts its own threshold.
    const given = await runSuccessfully(argv, { env: { ...process.env, MALLOC_MMAP_THRESHOLD_: '131072' } });
    assert.ok(Number(given) > 32 * 1024 ** 2, given);
  });
});

describe('endProcess()', () => {
  it("ends the process with its exit code, without waiting for V8's compiler threads", async () => {
    const script = `const { endProcess } = await import(${JSON.stringify(MODULE)}); ${COMPILING} endProcess(7);`;
    const command = [process.execPath, SLOW_COMPILER, '--input-type=module', '-e', script];
    assert.equal((await run(command, { timeoutMs: 20_000 })).code, 7);
  });
});

describe('runInBackground()', () => {
  it('gives another process the lowest priority, and throws for one that is gone', async () => {
    const child = spawn('sleep', ['60']);
    await once(child, 'spawn');
    const { pid } = child;
    assert.ok(pid !== undefined);
    runInBackground(pid);
    assert.equal(os.getPriority(pid), os.constants.priority.PRIORITY_LOW);
    child.kill();
    await once(child, 'exit');
    assert.equal(
      errorNumber(() => runInBackground(pid)),
      ESRCH,
    );
  });
});

/** Runs a command without CAP_IPC_LOCK, with which root may exceed the limit, but still able to read the sources. */
function asReader(command: readonly string[]): string[] {
  return ['setpriv', '--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock', '--', ...command];
}
