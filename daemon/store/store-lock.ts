import { closeSync, constants, openSync } from 'node:fs';

import { SystemError, tryLockFile } from '../kernel/libc.ts';
import { closeForGood } from './copy-directory.ts';
import { DirectoryLockError } from './directory-lock.ts';

/**
 * Reserves a store for one daemon, whatever path the file is opened by. The lock of the directory is not enough: its
 * lock file may be deleted, and a hard link in another directory has a WAL of its own there, so two daemons would
 * overwrite each other's acknowledged commits.
 *
 * This is a flock(2) lock, which does not interfere with SQLite's own (fcntl(2)). But SQLite's are released when any
 * descriptor of the file is closed, so this one is taken before SQLite opens the file, if there is one, and its
 * descriptor is closed after SQLite has closed the file.
 */
export class StoreLock {
  readonly #path: string;
  #file: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /**
   * Takes the lock. Does nothing if this object has it already, if there is no file, if the file cannot be opened
   * (opening the store reports that better), or if the file system has no such locks.
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

/** Opens a file; undefined if that fails. Without O_NONBLOCK, opening a FIFO would block for ever. */
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
