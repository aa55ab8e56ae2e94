import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { describe, it } from 'node:test';
import { syncDirectory } from '../../../daemon/store/sync-directory.ts';
import { skipUnless, tracer } from '../../support/requirements.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const MODULE = new URL('../../../daemon/store/sync-directory.ts', import.meta.url).href;
const SCRIPT = `const { syncDirectory } = await import(process.argv[1]);
  try { syncDirectory(process.argv[2]); console.log('done'); } catch ({ code }) { console.log(code); }`;

/** Returns the outcome if fsync(2) fails with the given error. */
function syncing(directory: string, error: string): string {
  const strace = ['-qq', '-o', '/dev/null', '-P', directory, `--inject=fsync:error=${error}`];
  const node = [process.execPath, '--input-type=module', '-e', SCRIPT, MODULE, directory];
  return execFileSync('strace', [...strace, ...node], { encoding: 'utf8', timeout: 60_000 }).trim();
}

describe('syncDirectory()', () => {
  it('succeeds if the file system cannot sync a directory', { skip: skipUnless(tracer) }, (t) => {
    assert.equal(syncing(temporaryDirectory(t), 'EINVAL'), 'done');
  });

  it('throws if the disk failed', { skip: skipUnless(tracer) }, (t) => {
    assert.equal(syncing(temporaryDirectory(t), 'EIO'), 'EIO');
  });

  it('refuses anything but a directory', (t) => {
    assert.throws(() => syncDirectory(import.meta.filename), { code: 'ENOTDIR' });
    assert.throws(() => syncDirectory(path.join(temporaryDirectory(t), 'none')), { code: 'ENOENT' });
  });
});
