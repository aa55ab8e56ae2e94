import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import { SystemError, getSocketOption, lockPages, tryLockFile } from '../../../daemon/kernel/libc.ts';
import { run } from '../../support/process.ts';
import { root, skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const MODULE = new URL('../../../daemon/kernel/libc.ts', import.meta.url).href;
const EBADF = 9;
const ENOPROTOOPT = 92;
const ENOTSOCK = 88;
const SO_TYPE = 3;

function errorNumber(action: () => unknown): number {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof SystemError, String(error));
    assert.match(error.message, new RegExp(`failed \\(errno ${error.errno}\\)$`));
    return error.errno;
  }
  return assert.fail('it did not fail');
}

function lockedKibibytes(): number {
  return Number(/^VmLck:\s+(\d+) kB/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

describe('getSocketOption()', () => {
  it('reads an option, as long as it is', async (t) => {
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

  it('throws with the number of the error', (t) => {
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

describe('lockPages()', () => {
  it('locks the pages that hold the bytes', () => {
    const before = lockedKibibytes();
    const bytes = new Uint8Array(new ArrayBuffer(64 * 1024));
    lockPages(bytes);
    assert.ok(lockedKibibytes() - before >= 64);
    assert.equal(bytes.length, 64 * 1024);
  });

  it('throws where the limit forbids it', { skip: skipUnless(root) }, async () => {
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
  it('gives a file to one descriptor at a time', (t) => {
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

  it('is not passed on to programs that are started', (t) => {
    const file = path.join(temporaryDirectory(t), 'lock');
    const held = fs.openSync(file, 'w');
    assert.ok(tryLockFile(held));
    const descriptors = execFileSync('ls', ['-l', '/proc/self/fd'], { encoding: 'utf8' });
    assert.ok(!descriptors.includes(file));
    fs.closeSync(held);
  });
});

/** Without the capability by which root may do what limits forbid, and still able to read the sources. */
function asReader(command: readonly string[]): string[] {
  return ['setpriv', '--bounding-set=-ipc_lock', '--inh-caps=-ipc_lock', '--', ...command];
}
