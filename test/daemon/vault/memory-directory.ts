import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from '../../support/scope.ts';

const MEMORY = '/dev/shm';

/**
 * Makes a directory that is removed with its scope. It is on a tmpfs if there is one, since syncing a disk takes time.
 */
export function memoryDirectory(scope: Scope): string {
  const parent = isWritable(MEMORY) ? MEMORY : os.tmpdir();
  const directory = fs.mkdtempSync(path.join(parent, 'cio-test-'));
  scope.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function isWritable(folder: string): boolean {
  try {
    fs.accessSync(folder, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
