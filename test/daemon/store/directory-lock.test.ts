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
  it('refuses a second owner by the process id of the first, also in the same process', (t) => {
    const directory = temporaryDirectory(t);
    const lock = DirectoryLock.take(directory);
    assert.equal(refusal(directory), `${directory} is held by another cio-credentiald (pid ${process.pid})`);
    assert.deepEqual(openFilesIn(directory), [path.join(directory, 'lock')], 'the one of the first');
    lock.release();
    DirectoryLock.take(directory).release();
  });

  it('refuses while another process holds it, and not after that one was killed', async (t) => {
    const directory = temporaryDirectory(t);
    const holder = new Service(t, [process.execPath, '--input-type=module', '-e', HOLDER, MODULE, directory]);
    await holder.printed('held');
    assert.match(refusal(directory), new RegExp(`pid ${holder.pid}\\)$`));
    await holder.stop('SIGKILL');
    assert.equal(fs.readFileSync(path.join(directory, 'lock'), 'utf8'), `${holder.pid}\n`, 'it left its number');
    DirectoryLock.take(directory).release();
  });

  it('is not held up by what a file of that name says', (t) => {
    const directory = temporaryDirectory(t);
    for (const content of ['', '1\n', 'nonsense\n'.repeat(1000), '\0'.repeat(10)]) {
      fs.writeFileSync(path.join(directory, 'lock'), content);
      const lock = DirectoryLock.take(directory);
      assert.equal(fs.readFileSync(path.join(directory, 'lock'), 'utf8'), `${process.pid}\n`);
      lock.release();
    }
  });

  it('repeats nothing of a holder that is no process id', (t) => {
    const directory = temporaryDirectory(t);
    const lock = DirectoryLock.take(directory);
    for (const content of ['', '12 34', '-1', 'secret\n', '99999999999']) {
      fs.writeFileSync(path.join(directory, 'lock'), content);
      assert.equal(refusal(directory), `${directory} is held by another process`);
    }
    lock.release();
  });

  it('makes a file that only its owner can read, and leaves it empty', (t) => {
    const directory = temporaryDirectory(t);
    DirectoryLock.take(directory).release();
    const { mode, size } = fs.statSync(path.join(directory, 'lock'));
    assert.deepEqual([mode & 0o777, size], [0o600, 0]);
  });

  it('follows no link', (t) => {
    const directory = temporaryDirectory(t);
    const target = path.join(directory, 'target');
    fs.writeFileSync(target, 'kept');
    fs.symlinkSync(target, path.join(directory, 'lock'));
    assert.match(refusal(directory), /^cannot lock /);
    assert.equal(fs.readFileSync(target, 'utf8'), 'kept');
  });

  it('says why a folder cannot be locked that is not there, or is none', (t) => {
    const directory = temporaryDirectory(t);
    assert.match(refusal(path.join(directory, 'none')), /^cannot lock .*none: /);
    fs.writeFileSync(path.join(directory, 'file'), '');
    assert.match(refusal(path.join(directory, 'file')), /^cannot lock .*file: /);
  });

  it('says so where the file system is read-only', { skip: skipUnless(mounting) }, (t) => {
    const disk = smallDisk(t, 64);
    makeReadOnly(disk);
    assert.match(refusal(disk), /^cannot lock .*read-only file system/);
  });
});
