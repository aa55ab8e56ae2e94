import { accessSync, constants } from 'node:fs';
import { constants as osConstants } from 'node:os';

import { fileIdentity } from '../kernel/libc.ts';
import { errnoOf } from '../system-error.ts';
import { lookAt, walIndexOf, walOf } from './database-file.ts';
import { asFileError } from './file-error.ts';
import { StoreError } from './sealed-store.ts';

/**
 * The files of an open store: detects what other programs do to them. SQLite opens each file once and does not look at
 * its path again, so it would go on writing to files that were deleted or replaced.
 */
export class StoreFiles {
  readonly #path: string;
  readonly #identity: string | undefined;
  readonly #walIdentity: string | undefined;
  /** State of the database file ({@link lookAt}) after the last write of this program; undefined if not known. */
  #written: string | undefined;

  /** @param path of a database file that SQLite has just opened */
  constructor(path: string) {
    this.#path = path;
    const file = lookAt(path);
    this.#identity = file?.identity;
    this.#written = file?.written;
    this.#walIdentity = fileIdentity(walOf(path));
  }

  /**
   * Throws if the WAL index must not be written. SQLite writes to it through a memory mapping: if the file was made
   * immutable (chattr(1), +i), the write kills the process. A missing file and a read-only file system are left to
   * SQLite to report.
   */
  requireIndex(): void {
    try {
      accessSync(walIndexOf(this.#path), constants.W_OK);
    } catch (error) {
      if (errnoOf(error) === osConstants.errno.EPERM) {
        throw asFileError(error, 'the WAL index (-shm) cannot be written');
      }
    }
  }

  /**
   * Checks that the database file is still at its path, and records its state.
   *
   * @returns whether another program wrote to it since its state was last recorded
   * @throws StoreError `changed_by_other` if the file was deleted or replaced
   */
  noteOthersWrites(): boolean {
    const file = lookAt(this.#path);
    if (file?.identity !== this.#identity) {
      throw new StoreError('changed_by_other', 'the file was deleted or replaced by another program');
    }
    const before = this.#written;
    this.#written = file?.written;
    return this.#written !== before;
  }

  /**
   * Tells whether the WAL is still at its path. SQLite keeps it open from its first connection to its last: once it is
   * unlinked, SQLite would go on writing commits to a file that no later process can find.
   */
  wal(): 'in place' | 'deleted' | 'replaced' {
    const identity = fileIdentity(walOf(this.#path));
    if (identity === this.#walIdentity) return 'in place';
    return identity === undefined ? 'deleted' : 'replaced';
  }

  /**
   * Records the state of the database file after a write of this program. A failing stat(2) is no failure of that
   * write, which has already succeeded; {@link noteOthersWrites} then reports one.
   *
   * @returns whether the file has changed since it was last recorded
   */
  noteWritten(): boolean {
    const before = this.#written;
    try {
      this.#written = lookAt(this.#path)?.written;
    } catch (error) {
      if (errnoOf(error) === undefined) throw error;
      this.#written = undefined;
    }
    return this.#written !== before;
  }
}
