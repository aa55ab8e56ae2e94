import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { tryLockFile } from '../kernel/libc.ts';
import { describeSystemError } from '../system-error.ts';
import { closeForGood } from './copy-directory.ts';

const LOCK_FILE = 'lock';

/** A directory is locked by another daemon, or cannot be locked. */
export class DirectoryLockError extends Error {
  /** `held` if another process has the lock; undefined if it cannot be locked for another reason. */
  readonly failure: 'held' | undefined;

  constructor(message: string, options: ErrorOptions & { readonly failure?: 'held' } = {}) {
    super(message, options);
    this.name = 'DirectoryLockError';
    this.failure = options.failure;
  }
}

/**
 * Reserves a directory for one daemon, with flock(2) on a file in it; the kernel releases it however the process ends.
 */
export class DirectoryLock {
  readonly #file: number;

  private constructor(file: number) {
    this.#file = file;
  }

  /** Takes the lock. @throws DirectoryLockError which names the process that has it */
  static take(directory: string): DirectoryLock {
    const path = join(directory, LOCK_FILE);
    let file: number | undefined;
    try {
      file = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
      if (!tryLockFile(file)) {
        throw new DirectoryLockError(`${directory} is held by ${describeHolder(path)}`, { failure: 'held' });
      }
      ftruncateSync(file);
      writeSync(file, `${process.pid}\n`, 0);
      return new DirectoryLock(file);
    } catch (error) {
      if (file !== undefined) closeSync(file);
      if (error instanceof DirectoryLockError) throw error;
      throw new DirectoryLockError(`cannot lock ${directory}: ${describeSystemError(error)}`, { cause: error });
    }
  }

  release(): void {
    try {
      ftruncateSync(this.#file);
    } catch (error) {
      // The pid in the file is only information, so a failed disk is no reason to fail here.
      if ((error as NodeJS.ErrnoException).errno === undefined) throw error;
    } finally {
      closeForGood(this.#file);
    }
  }
}

function describeHolder(path: string): string {
  const pid = /^\d{1,10}$/.exec(readFileSync(path, 'latin1').trim())?.[0];
  return pid === undefined ? 'another process' : `another cio-credentiald (pid ${pid})`;
}
