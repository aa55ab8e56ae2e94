import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import crypto, { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { KeyFileError, createKeyFile, readKeyFile, removeTemporaryKeyFiles } from '../../../daemon/vault/key-file.ts';
import { withIdentity } from '../../support/identity.ts';
import { openFilesIn } from '../../support/open-files.ts';
import { command, root, skipUnless, tracer } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { makeReadOnly, mounting, smallDisk } from '../store/small-disk.ts';

const NOBODY = { uid: 65_534, gid: 65_534 };

function refusal(action: () => unknown): KeyFileError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof KeyFileError, String(error));
    assert.equal(error.name, 'KeyFileError');
    return error;
  }
  return assert.fail('it was done');
}

function write(file: string, content: string | Uint8Array, mode = 0o600): string {
  fs.writeFileSync(file, content);
  fs.chmodSync(file, mode);
  return file;
}

/** Runs a process that tries to make a key file, and returns the error message it prints. */
function making(prefix: readonly string[], file: string): string {
  const make = `const { createKeyFile } = await import(process.argv[1]);
    try { createKeyFile(process.argv[2]); } catch ({ message }) { console.log(message); }`;
  const module = new URL('../../../daemon/vault/key-file.ts', import.meta.url).href;
  const command = [...prefix, process.execPath, '--input-type=module', '-e', make, module, file];
  return execFileSync('env', command, { encoding: 'utf8', timeout: 60_000 }).trim();
}

/** Runs `work` with the mocks that the test has put in the place of Node's functions. */
function withMocks<T>(t: TestContext, work: () => T): T {
  syncBuiltinESMExports();
  try {
    return work();
  } finally {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  }
}

function isWiped(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

describe('createKeyFile()', () => {
  it('syncs the file before linking it to its name, and the directory before returning', (t) => {
    const directory = temporaryDirectory(t);
    const file = path.join(directory, 'root.key');
    const done: string[] = [];
    const { fsyncSync, linkSync } = fs;
    t.mock.method(fs, 'fsyncSync', (fd: number) => {
      done.push(`sync ${fs.readlinkSync(`/proc/self/fd/${fd}`).replace(/\.[0-9a-f]{16}\.tmp$/, '.tmp')}`);
      fsyncSync(fd);
    });
    t.mock.method(fs, 'linkSync', (from: string, to: string) => {
      done.push(`link ${to}`);
      linkSync(from, to);
    });
    withMocks(t, () => createKeyFile(file));
    assert.deepEqual(done, [`sync ${file}.tmp`, `link ${file}`, `sync ${directory}`]);
    assert.deepEqual(openFilesIn(directory), []);
  });

  it('wipes the bytes it wrote, and also the key if the file could not be made', (t) => {
    const directory = temporaryDirectory(t);
    const written: Uint8Array[] = [];
    const random: Uint8Array[] = [];
    const { writeSync } = fs;
    t.mock.method(fs, 'writeSync', (fd: number, bytes: Uint8Array) => {
      written.push(bytes);
      return writeSync(fd, bytes);
    });
    const { randomFillSync } = crypto;
    t.mock.method(crypto, 'randomFillSync', (bytes: Uint8Array) => {
      if (bytes.length === 32) random.push(bytes);
      return randomFillSync(bytes);
    });
    withMocks(t, () => {
      const key = createKeyFile(path.join(directory, 'root.key'));
      assert.equal(random[0], key);
      assert.ok(!isWiped(key));
      refusal(() => createKeyFile(path.join(directory, 'root.key')));
    });
    assert.deepEqual(
      [written.map(isWiped), random.map(isWiped)],
      [
        [true, true],
        [false, true],
      ],
    );
  });

  it('makes a file of one line of base64, mode 0600 whatever the umask, and nothing else', (t) => {
    const old = process.umask(0o777);
    t.after(() => process.umask(old));
    const directory = temporaryDirectory(t);
    const file = path.join(directory, 'root.key');
    const key = createKeyFile(file);
    process.umask(old);
    assert.equal(fs.readFileSync(file, 'utf8'), `${Buffer.from(key).toString('base64')}\n`);
    assert.equal(fs.statSync(file).mode & 0o7777, 0o600);
    assert.equal(fs.statSync(file).nlink, 1);
    assert.deepEqual(fs.readdirSync(directory), ['root.key']);
    assert.deepEqual(Uint8Array.from(readKeyFile(file)), key);
  });

  it('makes a different key each time', (t) => {
    const directory = temporaryDirectory(t);
    assert.notDeepEqual(createKeyFile(path.join(directory, 'a')), createKeyFile(path.join(directory, 'b')));
  });

  it('works despite a temporary file left by a killed process with the same pid', (t) => {
    const file = path.join(temporaryDirectory(t), 'root.key');
    write(`${file}.${process.pid}.tmp`, 'left');
    const key = createKeyFile(file);
    assert.deepEqual(Uint8Array.from(readKeyFile(file)), key);
  });

  it('never overwrites a file, a link or a directory', (t) => {
    const directory = temporaryDirectory(t);
    const file = write(path.join(directory, 'file'), 'kept');
    fs.symlinkSync(file, path.join(directory, 'link'));
    fs.symlinkSync(path.join(directory, 'nowhere'), path.join(directory, 'dangling'));
    fs.mkdirSync(path.join(directory, 'folder'));
    for (const name of ['file', 'link', 'dangling', 'folder']) {
      assert.match(
        refusal(() => createKeyFile(path.join(directory, name))).message,
        /cannot make the key file .*exist/i,
      );
    }
    assert.equal(fs.readFileSync(file, 'utf8'), 'kept');
    assert.deepEqual(fs.readdirSync(directory).toSorted(), ['dangling', 'file', 'folder', 'link']);
  });

  it('says why it cannot make a key file, and leaves nothing behind', (t) => {
    const directory = temporaryDirectory(t);
    const file = write(path.join(directory, 'file'), '');
    for (const place of [
      path.join(directory, 'none', 'key'),
      path.join(file, 'key'),
      path.join(directory, 'x'.repeat(255)),
      path.join(directory, 'nul\0byte'),
    ]) {
      assert.match(refusal(() => createKeyFile(place)).message, /^cannot make the key file /);
    }
    assert.deepEqual(fs.readdirSync(directory), ['file']);
  });

  it('reports a directory in which it may not write', { skip: skipUnless(root) }, (t) => {
    const directory = temporaryDirectory(t);
    fs.chmodSync(directory, 0o700);
    const place = path.join(directory, 'key');
    assert.match(withIdentity(NOBODY, () => refusal(() => createKeyFile(place))).message, /permission denied|EACCES/);
    fs.chmodSync(directory, 0o755);
    assert.match(withIdentity(NOBODY, () => refusal(() => createKeyFile(place))).message, /permission denied|EACCES/);
  });

  it('names the missing feature of the file system, and leaves nothing behind', { skip: skipUnless(tracer) }, (t) => {
    for (const [inject, said] of [
      ['link:error=EPERM', ' on a file system without hard links: EPERM'],
      ['fchmod:error=EPERM', ' on a file system that keeps no modes: EPERM'],
      ['fchmod:error=EIO', ': EIO'],
    ] as const) {
      const directory = temporaryDirectory(t);
      const file = path.join(directory, 'root.key');
      assert.equal(
        making(['strace', '-qq', '-o', '/dev/null', `--inject=${inject}`], file),
        `cannot make the key file ${file}${said}`,
      );
      assert.deepEqual(fs.readdirSync(directory), []);
    }
  });

  it('makes no file that holds only a part of the key', { skip: skipUnless(command('prlimit', 'util-linux')) }, (t) => {
    const directory = temporaryDirectory(t);
    const file = path.join(directory, 'root.key');
    assert.equal(making(['prlimit', '--fsize=20'], file), `cannot make the key file ${file}: EFBIG`);
    assert.deepEqual(fs.readdirSync(directory), []);
  });

  it('reports a full or read-only disk, and leaves nothing behind', { skip: skipUnless(mounting) }, (t) => {
    const disk = smallDisk(t, 16);
    write(path.join(disk, 'full'), '');
    assert.throws(() => {
      for (;;) fs.appendFileSync(path.join(disk, 'full'), randomBytes(4096));
    }, /ENOSPC/);
    const place = path.join(disk, 'key');
    assert.match(refusal(() => createKeyFile(place)).message, /^cannot make the key file /);
    makeReadOnly(disk);
    assert.match(refusal(() => createKeyFile(place)).message, /read-only|EROFS/);
    assert.deepEqual(fs.readdirSync(disk), ['full']);
  });
});

describe('removeTemporaryKeyFiles()', () => {
  for (const [when, inject, kept] of [
    ['before the key file has its name', 'link,linkat:signal=KILL', []],
    ['before its temporary name is removed', 'unlink,unlinkat,rmdir:signal=KILL', ['root.key']],
  ] as const) {
    it(`removes what a process left that was killed ${when}`, { skip: skipUnless(tracer) }, (t) => {
      const directory = temporaryDirectory(t);
      const make = 'const { createKeyFile } = await import(process.argv[1]); createKeyFile(process.argv[2]);';
      const module = new URL('../../../daemon/vault/key-file.ts', import.meta.url).href;
      const program = [process.execPath, '--input-type=module', '-e', make, module, path.join(directory, 'root.key')];
      const { signal } = spawnSync('strace', ['-f', '-qq', '-o', '/dev/null', `--inject=${inject}`, ...program]);
      assert.equal(signal, 'SIGKILL');
      assert.equal(fs.readdirSync(directory).length, kept.length + 1);
      removeTemporaryKeyFiles(directory);
      assert.deepEqual(fs.readdirSync(directory), kept);
      for (const name of kept) assert.equal(readKeyFile(path.join(directory, name)).length, 32);
    });
  }

  it('removes nothing else', { skip: skipUnless(root) }, (t) => {
    const directory = temporaryDirectory(t);
    const end = '0123456789abcdef.tmp';
    for (const name of [
      'root.key',
      `.${end}`,
      `root.key.${end}~`,
      'root.key.0123.tmp',
      `root.key.${end.toUpperCase()}`,
    ]) {
      write(path.join(directory, name), 'kept');
    }
    fs.mkdirSync(path.join(directory, `folder.${end}`));
    fs.symlinkSync('root.key', path.join(directory, `link.${end}`));
    write(path.join(directory, `large.${end}`), 'x'.repeat(64));
    fs.chownSync(write(path.join(directory, `other.${end}`), 'kept'), NOBODY.uid, NOBODY.gid);
    const before = fs.readdirSync(directory);
    removeTemporaryKeyFiles(directory);
    assert.deepEqual(fs.readdirSync(directory), before);
  });
});

describe('readKeyFile()', () => {
  const key = randomBytes(32);
  const line = key.toString('base64');

  for (const [what, content] of Object.entries({
    'no line end': line,
    'a line end': `${line}\n`,
    'a CRLF line end': `${line}\r\n`,
  })) {
    it(`accepts a key with ${what}`, (t) => {
      assert.deepEqual(Buffer.from(readKeyFile(write(path.join(temporaryDirectory(t), 'key'), content))), key);
    });
  }

  const malformed: Record<string, string | Uint8Array> = {
    nothing: '',
    'only a line end': '\n',
    'raw bytes': key,
    'hexadecimal digits': key.toString('hex'),
    'a key of 31 bytes': randomBytes(31).toString('base64'),
    'a key of 33 bytes': randomBytes(33).toString('base64'),
    'no padding': line.slice(0, -1),
    'two line ends': `${line}\n\n`,
    'two lines': `${line}\n${line}\n`,
    'a space in front': ` ${line}`,
    base64url: `${'-'.repeat(43)}=`,
    'a NUL at the end': `${line}\0`,
    'letters that are not ASCII': `${'é'.repeat(21)}a=`,
    'a large file': line.repeat(10_000),
  };
  for (const [what, content] of Object.entries(malformed)) {
    it(`refuses ${what}, without quoting any of it`, (t) => {
      const file = write(path.join(temporaryDirectory(t), 'key'), content);
      assert.equal(
        refusal(() => readKeyFile(file)).message,
        `${file} is not a key file: 32 bytes in base64 are expected`,
      );
    });
  }

  for (const mode of [0o604, 0o602, 0o601, 0o640, 0o620, 0o610, 0o644, 0o777]) {
    it(`refuses a file of mode 0${mode.toString(8)}, and says how to fix it`, (t) => {
      const file = write(path.join(temporaryDirectory(t), 'key'), line, mode);
      assert.match(refusal(() => readKeyFile(file)).message, new RegExp(`fix it with: chmod 600 ${file}$`));
      assert.deepEqual(Buffer.from(readKeyFile(file, false)), key, 'one of systemd is not asked for its mode');
    });
  }

  for (const mode of [0o600, 0o400, 0o700]) {
    it(`accepts a file of mode 0${mode.toString(8)}`, (t) => {
      assert.deepEqual(Buffer.from(readKeyFile(write(path.join(temporaryDirectory(t), 'key'), line, mode))), key);
    });
  }

  it('does not open a file that is larger than a key file', { skip: skipUnless(root) }, (t) => {
    const file = write(path.join(temporaryDirectory(t), 'key'), line.repeat(100), 0o000);
    fs.chmodSync(path.dirname(file), 0o755);
    // A user who could not open the file gets the same answer.
    assert.match(withIdentity(NOBODY, () => refusal(() => readKeyFile(file))).message, /is not a key file: 32 bytes/);
  });

  it("refuses another user's file, and accepts root's", { skip: skipUnless(root) }, (t) => {
    const file = write(path.join(temporaryDirectory(t), 'key'), line);
    fs.chownSync(file, NOBODY.uid, NOBODY.gid);
    assert.match(
      refusal(() => readKeyFile(file)).message,
      /belongs to another user \(uid 65534\); fix it with: chown 0 /,
    );
    assert.deepEqual(Buffer.from(withIdentity(NOBODY, () => readKeyFile(file))), key);
    assert.match(
      withIdentity({ uid: 1, gid: 1 }, () => refusal(() => readKeyFile(file))).message,
      /permission denied|EACCES/,
    );
  });

  it('wipes the bytes it read, valid key or not, and leaves no file open', (t) => {
    const directory = temporaryDirectory(t);
    const good = write(path.join(directory, 'good'), randomBytes(32).toString('base64'));
    const bad = write(path.join(directory, 'bad'), 'this is no key');
    const read: Uint8Array[] = [];
    const { readSync } = fs;
    t.mock.method(fs, 'readSync', (fd: number, bytes: Uint8Array, ...others: [number, number, number]) => {
      read.push(bytes);
      const count = readSync(fd, bytes, ...others);
      assert.ok(!isWiped(bytes));
      return count;
    });
    withMocks(t, () => {
      readKeyFile(good);
      refusal(() => readKeyFile(bad));
    });
    assert.deepEqual(read.map(isWiped), [true, true]);
    assert.deepEqual(openFilesIn(directory), []);
  });

  it('reports a missing file as missing', (t) => {
    const file = path.join(temporaryDirectory(t), 'none');
    const error = refusal(() => readKeyFile(file));
    assert.equal(error.isMissing, true);
    assert.match(error.message, /^cannot read the key file .*none: /);
  });

  it('does not report an unreadable file as missing', (t) => {
    const directory = temporaryDirectory(t);
    const loop = path.join(directory, 'loop');
    fs.symlinkSync(loop, loop);
    const beneathFile = path.join(write(path.join(directory, 'file'), ''), 'key');
    for (const place of [directory, loop, beneathFile, 'nul\0byte']) {
      assert.equal(refusal(() => readKeyFile(place)).isMissing, false);
    }
  });

  it(
    'does not open anything but a regular file: opening a device can have side effects',
    { skip: skipUnless(tracer) },
    (t) => {
      const fifo = path.join(temporaryDirectory(t), 'fifo');
      execFileSync('mkfifo', [fifo]);
      const trace = path.join(temporaryDirectory(t), 'trace');
      const read = `
        const { readKeyFile } = await import(process.argv[1]);
        try { readKeyFile(process.argv[2]); } catch ({ message }) { console.log(message); }`;
      const module = new URL('../../../daemon/vault/key-file.ts', import.meta.url).href;
      const node = [process.execPath, '--input-type=module', '-e', read, module, fifo];
      const strace = ['-qq', '-o', trace, '--trace=?open,openat'];
      const said = execFileSync('strace', [...strace, ...node], { encoding: 'utf8' });
      assert.equal(said, `${fifo} is not a regular file\n`);
      const lines = fs.readFileSync(trace, 'utf8').split('\n');
      assert.ok(
        lines.some((line) => line.includes('key-file.ts')),
        'it sees what is opened',
      );
      assert.deepEqual(
        lines.filter((line) => line.includes(fifo)),
        [],
      );
    },
  );

  it('does not block on a pipe, and reads no device', { timeout: 5000 }, (t) => {
    const pipe = path.join(temporaryDirectory(t), 'pipe');
    execFileSync('mkfifo', ['-m', '600', pipe]);
    for (const place of [pipe, '/dev/zero']) {
      assert.match(refusal(() => readKeyFile(place)).message, /is not a regular file/);
    }
  });
});
