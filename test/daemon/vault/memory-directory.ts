import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from '../../support/scope.ts';

const MEMORY = '/dev/shm';

/** The room for a small store and its copies, in bytes. */
const SMALL_BYTES = 16 * 1024 ** 2;

/**
 * Makes a directory that is removed with its scope. It is on a tmpfs if there is one with room, since syncing a disk
 * takes time. In a container, /dev/shm has 64 MiB for everything that runs there.
 */
export function memoryDirectory(scope: Scope, bytes: number = SMALL_BYTES): string {
  const parent = isWritable(MEMORY) && freeBytes(MEMORY) >= bytes ? MEMORY : os.tmpdir();
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

function freeBytes(folder: string): number {
  const { bavail, bsize } = fs.statfsSync(folder);
  return bavail * bsize;
}
