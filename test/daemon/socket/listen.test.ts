import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { acceptConnection } from '../../../daemon/kernel/libc.ts';
import {
  checkSocketPath,
  listenByHand,
  listenOn,
  ListenError,
  prepareRuntimeDirectory,
} from '../../../daemon/socket/listen.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import { runSuccessfully } from '../../support/process.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const modeOf = (path: string): number => statSync(path).mode & 0o7777;

/** Runs `work` with another umask. */
function withUmask<Result>(umask: number, work: () => Result): Result {
  const previous = process.umask(umask);
  try {
    return work();
  } finally {
    process.umask(previous);
  }
}

function makeServer(t: TestContext): Server {
  const server = createServer((socket) => socket.on('error', () => socket.destroy()).end('mine'));
  t.after(() => void server.close());
  return server;
}

describe('prepareRuntimeDirectory()', () => {
  for (const umask of [0, 0o077, 0o777]) {
    it(`makes the directory with mode 0755 or 0700, under umask ${umask.toString(8)}`, (t) => {
      const directory = temporaryDirectory(t);
      const [open, own] = [join(directory, 'open'), join(directory, 'own')];
      withUmask(umask, () => {
        prepareRuntimeDirectory(open, true);
        if (umask !== 0o777) prepareRuntimeDirectory(own, false);
      });
      assert.equal(modeOf(open), 0o755);
      if (umask !== 0o777) assert.equal(modeOf(own), 0o700);
    });
  }

  it('makes the parents, and leaves an existing directory unchanged', (t) => {
    const path = join(temporaryDirectory(t), 'a', 'b', 'run');
    prepareRuntimeDirectory(path, true);
    chmodSync(path, 0o711);
    prepareRuntimeDirectory(path, true);
    assert.equal(modeOf(path), 0o711);
  });

  for (const mode of [0o777, 0o775, 0o757, 0o722, 0o1777]) {
    it(`refuses a directory that others may write to: mode ${mode.toString(8)}`, (t) => {
      const path = join(temporaryDirectory(t), 'run');
      mkdirSync(path);
      chmodSync(path, mode);
      assert.throws(() => prepareRuntimeDirectory(path, true), {
        name: 'ListenError',
        message: `others may write to the runtime directory ${path}; fix it with: chmod go-w ${path}`,
      });
      assert.equal(modeOf(path), mode);
    });
  }

  it('refuses another user’s directory', { skip: skipUnless(root) }, (t) => {
    const path = join(temporaryDirectory(t), 'run');
    mkdirSync(path, { mode: 0o755 });
    chownSync(path, 3001, 3001);
    assert.throws(() => prepareRuntimeDirectory(path, true), /belongs to another user \(uid 3001\)/);
  });

  it('refuses anything but a directory, even a symbolic link to one', (t) => {
    const directory = temporaryDirectory(t);
    const [file, link, dangling] = ['file', 'link', 'dangling'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    writeFileSync(file, '');
    mkdirSync(join(directory, 'target'), { mode: 0o755 });
    symlinkSync(join(directory, 'target'), link);
    symlinkSync(join(directory, 'none'), dangling);
    for (const path of [file, link, dangling]) assert.throws(() => prepareRuntimeDirectory(path, true), ListenError);
    assert.equal(existsSync(join(directory, 'none')), false);
  });

  it('says where it cannot be made, and why', (t) => {
    const file = join(temporaryDirectory(t), 'file');
    writeFileSync(file, '');
    assert.throws(() => prepareRuntimeDirectory(join(file, 'run'), true), {
      name: 'ListenError',
      message: `cannot make the runtime directory ${join(file, 'run')}: not a directory`,
    });
  });
});

describe('checkSocketPath()', () => {
  it('accepts 107 bytes, and no more', () => {
    checkSocketPath('/'.padEnd(107, 'x'));
    checkSocketPath(`/${'ä'.repeat(53)}`);
    for (const path of ['/'.padEnd(108, 'x'), `/${'ä'.repeat(54)}`]) {
      assert.throws(() => checkSocketPath(path), /bytes long, 107 are allowed; choose a shorter --runtime-dir/);
    }
  });
});

describe('listenOn()', () => {
  for (const [isPublic, mode] of [
    [true, 0o666],
    [false, 0o600],
  ] as const) {
    for (const umask of [0, 0o022, 0o777]) {
      it(`makes the socket with mode ${mode.toString(8)} from the start, under umask ${umask.toString(8)}`, async (t) => {
        const path = join(temporaryDirectory(t), 'socket');
        const server = makeServer(t);
        // The state right after bind(2) and listen(2), before anybody can connect.
        let first: number | undefined;
        const listen = server.listen.bind(server) as (...args: unknown[]) => Server;
        server.listen = (...args: unknown[]): Server => {
          assert.equal(existsSync(path), false);
          const listening = listen(...args);
          first = modeOf(path);
          return listening;
        };
        const previous = process.umask(umask);
        try {
          await listenOn(server, path, isPublic);
          assert.equal(process.umask(), umask, 'the umask is what it was');
        } finally {
          process.umask(previous);
        }
        assert.deepEqual([first, modeOf(path)], [mode, mode]);
      });
    }
  }

  it('replaces a socket on which nobody listens', async (t) => {
    const path = join(temporaryDirectory(t), 'socket');
    await runSuccessfully([
      process.execPath,
      '-e',
      'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))',
      path,
    ]).catch(() => undefined);
    assert.ok(statSync(path).isSocket());
    await listenOn(makeServer(t), path, true);
    const socket = connect(path);
    assert.equal(String(await new Promise((resolve) => socket.once('data', resolve))), 'mine');
  });

  it('leaves a socket alone on which another program listens', async (t) => {
    const path = join(temporaryDirectory(t), 'socket');
    await listenOn(makeServer(t), path, true);
    await assert.rejects(listenOn(makeServer(t), path, true), {
      name: 'ListenError',
      message: `another program listens on ${path}`,
    });
    const socket = connect(path);
    assert.equal(String(await new Promise((resolve) => socket.once('data', resolve))), 'mine');
  });

  for (const [what, make] of [
    ['a file', (path: string): void => writeFileSync(path, 'somebody needs this')],
    ['a link', (path: string): void => symlinkSync('/etc/hostname', path)],
    ['a directory', (path: string): void => mkdirSync(path)],
  ] as const) {
    it(`leaves ${what} in its place alone`, async (t) => {
      const path = join(temporaryDirectory(t), 'socket');
      make(path);
      await assert.rejects(listenOn(makeServer(t), path, true), {
        name: 'ListenError',
        message: `${path} exists already and is not a socket`,
      });
      if (what === 'a file') assert.equal(readFileSync(path, 'utf8'), 'somebody needs this');
    });
  }

  it('refuses a path that is too long, and does not listen on a truncated one', async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'x'.repeat(108 - directory.length - 1));
    assert.equal(path.length, 108);
    await assert.rejects(listenOn(makeServer(t), path, true), ListenError);
    assert.equal(existsSync(path.slice(0, 107)), false);
    await listenOn(makeServer(t), path.slice(0, 107), true);
    assert.ok(statSync(path.slice(0, 107)).isSocket());
  });

  it('says where it cannot listen, and why, and restores the umask', async (t) => {
    const path = join(temporaryDirectory(t), 'none', 'socket');
    const umask = process.umask();
    await assert.rejects(listenOn(makeServer(t), path, true), {
      name: 'ListenError',
      message: /^cannot listen on .*: /,
    });
    assert.equal(process.umask(), umask);
  });
});

describe('listenByHand()', () => {
  it('returns a listening descriptor with a socket of mode 0600, from which only the caller accepts', async (t) => {
    const directory = temporaryDirectory(t);
    const path = join(directory, 'socket');
    const fd = await listenByHand(path);
    t.after(() => closeSync(fd));
    assert.deepEqual([readdirSync(directory), modeOf(path)], [['socket'], 0o600]);
    for (let count = 0; count < 3; count += 1) {
      const peer = connect(path);
      t.after(() => peer.destroy());
      await once(peer, 'connect');
      const connection = acceptConnection(fd) ?? assert.fail('somebody else has accepted him');
      closeSync(connection);
    }
    await assert.rejects(listenByHand(path), { message: `another program listens on ${path}` });
  });
});
