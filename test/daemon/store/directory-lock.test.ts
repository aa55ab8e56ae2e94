import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { DirectoryLock, DirectoryLockError } from '../../../daemon/store/directory-lock.ts';
import { openFilesIn } from '../../support/open-files.ts';
import { Service } from '../../support/process.ts';
import { skipUnless } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';
import { makeReadOnly, mounting, smallDisk } from './small-disk.ts';

const HOLDER = `
  const { DirectoryLock } = await import(process.argv[1]);
  DirectoryLock.take(process.argv[2]);
  console.log('held');
  setInterval(() => undefined, 1e6);
`;
const MODULE = new URL('../../../daemon/store/directory-lock.ts', import.meta.url).href;

function refusal(directory: string): string {
  try {
    DirectoryLock.take(directory);
  } catch (error) {
    assert.ok(error instanceof DirectoryLockError);
    assert.equal(error.name, 'DirectoryLockError');
    return error.message;
  }
  return assert.fail('it was taken');
}

describe('DirectoryLock.take()', () => {
  it('refuses a second owner, even in the same process, and names the pid of the first', (t) => {
    const directory = temporaryDirectory(t);
    const lock = DirectoryLock.take(directory);
    assert.equal(refusal(directory), `${directory} is held by another cio-credentiald (pid ${process.pid})`);
    assert.deepEqual(openFilesIn(directory), [path.join(directory, 'lock')], 'the one of the first');
    lock.release();
    DirectoryLock.take(directory).release();
  });

  it('refuses while another process holds it, but not after that process was killed', async (t) => {
    const directory = temporaryDirectory(t);
    const holder = new Service(t, [process.execPath, '--input-type=module', '-e', HOLDER, MODULE, directory]);
    await holder.printed('held');
    assert.match(refusal(directory), new RegExp(`pid ${holder.pid}\\)$`));
    await holder.stop('SIGKILL');
    assert.equal(fs.readFileSync(path.join(directory, 'lock'), 'utf8'), `${holder.pid}\n`, 'it left its number');
    DirectoryLock.take(directory).release();
  });

  it('ignores the content of an existing lock file', (t) => {
    const directory = temporaryDirectory(t);
    for (const content of ['', '1\n', 'nonsense\n'.repeat(1000), '\0'.repeat(10)]) {
      fs.writeFileSync(path.join(directory, 'lock'), content);
      const lock = DirectoryLock.take(directory);
      assert.equal(fs.readFileSync(path.join(directory, 'lock'), 'utf8'), `${process.pid}\n`);
      lock.release();
    }
  });

  it('does not quote a lock file that does not hold a pid', (t) => {
    const directory = temporaryDirectory(t);
    const lock = DirectoryLock.take(directory);
    for (const content of ['', '12 34', '-1', 'secret\n', '99999999999']) {
      fs.writeFileSync(path.join(directory, 'lock'), content);
      assert.equal(refusal(directory), `${directory} is held by another process`);
    }
    lock.release();
  });

  it('makes a file that only its owner can read, and empties it on release', (t) => {
    const directory = temporaryDirectory(t);
    DirectoryLock.take(directory).release();
    const { mode, size } = fs.statSync(path.join(directory, 'lock'));
    assert.deepEqual([mode & 0o777, size], [0o600, 0]);
  });

  it('does not follow a symbolic link', (t) => {
    const directory = temporaryDirectory(t);
    const target = path.join(directory, 'target');
    fs.writeFileSync(target, 'kept');
    fs.symlinkSync(target, path.join(directory, 'lock'));
    assert.match(refusal(directory), /^cannot lock /);
    assert.equal(fs.readFileSync(target, 'utf8'), 'kept');
  });

  it('says why a missing directory, or a file, cannot be locked', (t) => {
    const directory = temporaryDirectory(t);
    assert.match(refusal(path.join(directory, 'none')), /^cannot lock .*none: /);
    fs.writeFileSync(path.join(directory, 'file'), '');
    assert.match(refusal(path.join(directory, 'file')), /^cannot lock .*file: /);
  });

  it('reports a read-only file system', { skip: skipUnless(mounting) }, (t) => {
    const disk = smallDisk(t, 64);
    makeReadOnly(disk);
    assert.match(refusal(disk), /^cannot lock .*read-only file system/);
  });
});
