import { randomBytes } from 'node:crypto';
import { closeSync, constants, fsyncSync, linkSync, lstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CommandError } from './command-error.ts';
import { reasonOf, shownPath } from './file-error.ts';
import { onTermination } from './on-termination.ts';

/** Hints by error code. */
const HINTS: Readonly<Record<string, string>> = {
  ENOSPC: 'make room on that disk, or write to another one',
  ENOENT: 'make the folder first, or name another place',
  EACCES: 'name a place where you may write',
  EROFS: 'name a place on another file system',
};

const NAME_A_FILE = 'give the name of a file';

/**
 * A new file, readable by its owner alone, that appears under its name only once it is complete and on the disk.
 *
 * @example
 * using file = NewFile.create('copy.db', { force: false });
 * file.write(bytes);
 * file.commit();
 */
export class NewFile implements Disposable {
  readonly #path: string;
  readonly #temporary: string;
  readonly #descriptor: number;
  readonly #force: boolean;
  /** Removes the incomplete file if a signal ends the process. */
  readonly #ending: Disposable = onTermination(() => this[Symbol.dispose]());
  #isOpen = true;
  #isThere = true;

  private constructor(path: string, temporary: string, descriptor: number, force: boolean) {
    this.#path = path;
    this.#temporary = temporary;
    this.#descriptor = descriptor;
    this.#force = force;
  }

  /**
   * Creates a temporary file in the folder of the new file.
   *
   * @param force replaces an existing file of that name
   * @throws CommandError `WriteFailed`, `FileExists`
   */
  static create(path: string, { force }: { readonly force: boolean }): NewFile {
    assertFree(path, force);
    const temporary = join(dirname(path), `.${basename(path).slice(0, 200)}.${randomBytes(6).toString('hex')}`);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const descriptor = refusing(`make a file in ${shownPath(dirname(path))}`, () => openSync(temporary, flags, 0o600));
    return new NewFile(path, temporary, descriptor, force);
  }

  /** @throws CommandError `WriteFailed` */
  write(bytes: Uint8Array): void {
    refusing(`write ${shownPath(this.#path)}`, () => {
      for (let done = 0; done < bytes.length;) done += writeSync(this.#descriptor, bytes, done);
    });
  }

  /** Flushes the file to the disk, and gives it its name. @throws CommandError `WriteFailed`, `FileExists` */
  commit(): void {
    refusing(`write ${shownPath(this.#path)}`, () => fsyncSync(this.#descriptor));
    this.#close();
    if (this.#force || !this.#link()) {
      assertFree(this.#path, this.#force);
      refusing(`give ${shownPath(this.#path)} its name`, () => renameSync(this.#temporary, this.#path));
      this.#isThere = false;
    }
    refusing(`write the folder of ${shownPath(this.#path)}`, () => syncFolder(dirname(this.#path)));
  }

  /** Removes a file that was not committed. */
  [Symbol.dispose](): void {
    this.#ending[Symbol.dispose]();
    this.#close();
    if (this.#isThere) rmSync(this.#temporary, { force: true });
    this.#isThere = false;
  }

  /** Links the file to its name. Unlike a rename, that fails if another process has created such a file meanwhile. */
  #link(): boolean {
    try {
      linkSync(this.#temporary, this.#path);
      return true;
    } catch (error) {
      // Some file systems, such as FAT on a memory stick, have no links.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
      throw alreadyExistsError(this.#path);
    }
  }

  #close(): void {
    if (this.#isOpen) closeSync(this.#descriptor);
    this.#isOpen = false;
  }
}

function assertFree(path: string, force: boolean): void {
  const stat = refusing(`look for ${shownPath(path)}`, () => lstatSync(path, { throwIfNoEntry: false }));
  if (stat === undefined) {
    if (path !== '' && !path.endsWith('/')) return;
    throw new CommandError('WriteFailed', 'the path does not end in a file name', NAME_A_FILE);
  }
  if (!stat.isFile()) {
    throw new CommandError(
      'WriteFailed',
      `${shownPath(path)} is ${stat.isDirectory() ? 'a folder' : 'not a regular file'}`,
      NAME_A_FILE,
    );
  }
  if (!force) throw alreadyExistsError(path);
}

function alreadyExistsError(path: string): CommandError {
  return new CommandError(
    'FileExists',
    `${shownPath(path)} already exists`,
    'give another name, or --force to replace it',
  );
}

function syncFolder(path: string): void {
  const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function refusing<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    throw new CommandError('WriteFailed', `cannot ${what}: ${reasonOf(error)}`, HINTS[code]);
  }
}
