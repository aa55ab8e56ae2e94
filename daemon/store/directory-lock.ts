import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { tryLockFile } from '../kernel/libc.ts';

const LOCK_FILE = 'lock';

/** A directory is another daemon's. */
export class DirectoryHeldError extends Error {
  constructor(directory: string, holder: string) {
    super(`${directory} is held by ${holder}`);
    this.name = 'DirectoryHeldError';
  }
}

/** Makes a directory one daemon's: a lock of the kernel's on a file in it, which ends with the process, however it ends. */
export class DirectoryLock {
  readonly #file: number;

  private constructor(file: number) {
    this.#file = file;
  }

  /** @throws DirectoryHeldError naming the process that has it */
  static take(directory: string): DirectoryLock {
    const path = join(directory, LOCK_FILE);
    const file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
    try {
      if (!tryLockFile(file)) throw new DirectoryHeldError(directory, describeHolder(path));
      ftruncateSync(file);
      writeSync(file, `${process.pid}\n`, 0);
      return new DirectoryLock(file);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  release(): void {
    ftruncateSync(this.#file);
    closeSync(this.#file);
  }
}

function describeHolder(path: string): string {
  const pid = /^\d{1,10}$/.exec(readFileSync(path, 'latin1').trim())?.[0];
  return pid === undefined ? 'another process' : `another cio-credentiald (pid ${pid})`;
}
