import { closeSync, constants, openSync } from 'node:fs';

import { SystemError, tryLockFile } from '../kernel/libc.ts';
import { closeForGood } from './copy-directory.ts';
import { DirectoryLockError } from './directory-lock.ts';

/**
 * Keeps a store to one daemon by whatever path it is reached: its directory may have lost its lock file, and a hard link in
 * another directory has a journal of its own there, so that each daemon would write over what the other one acknowledged.
 *
 * SQLite's own locks are of another kind (fcntl(2)). They go when any descriptor of the file is closed, so that this one is
 * taken before SQLite opens it, where there is a file, and closed after SQLite has closed it.
 */
export class StoreLock {
  readonly #path: string;
  #file: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Does nothing where it is held by us, or there is no file; nor where the file cannot be opened, which opening the store
   * says better, or its system has no such locks.
   *
   * @throws DirectoryLockError `held`
   */
  take(): void {
    if (this.#file !== undefined) return;
    const file = openIfThere(this.#path);
    if (file === undefined) return;
    if (isFree(file)) {
      this.#file = file;
      return;
    }
    closeSync(file);
    throw new DirectoryLockError(`${this.#path} is held by another process`, { failure: 'held' });
  }

  release(): void {
    if (this.#file !== undefined) closeForGood(this.#file);
    this.#file = undefined;
  }
}

/** One that is a FIFO would be waited for without end. */
function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return undefined;
  }
}

function isFree(file: number): boolean {
  try {
    return tryLockFile(file);
  } catch (error) {
    if (error instanceof SystemError) return true;
    throw error;
  }
}
