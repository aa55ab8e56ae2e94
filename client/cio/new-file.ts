import { randomBytes } from 'node:crypto';
import { closeSync, constants, fsyncSync, linkSync, lstatSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { CommandError } from './command-error.ts';

/** Signals that end the process, and would leave the half of a file behind. */
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * A file in the making: nobody sees it under its name before it is whole and on the disk, and nobody else may read it.
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
  #isOpen = true;
  #isThere = true;

  private constructor(path: string, temporary: string, descriptor: number, force: boolean) {
    this.#path = path;
    this.#temporary = temporary;
    this.#descriptor = descriptor;
    this.#force = force;
    for (const signal of ENDING_SIGNALS) process.on(signal, this.#onSignal);
  }

  /**
   * Begins one in the folder where it will be.
   *
   * @param force an older file of the name is replaced
   * @throws CommandError `WriteFailed`
   */
  static create(path: string, { force }: { readonly force: boolean }): NewFile {
    assertFree(path, force);
    const temporary = join(dirname(path), `.${basename(path).slice(0, 200)}.${randomBytes(6).toString('hex')}`);
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const descriptor = refusing('make the file', () => openSync(temporary, flags, 0o600));
    return new NewFile(path, temporary, descriptor, force);
  }

  /** @throws CommandError `WriteFailed` */
  write(bytes: Uint8Array): void {
    refusing('write the file', () => {
      for (let done = 0; done < bytes.length;) done += writeSync(this.#descriptor, bytes, done);
    });
  }

  /** Gives it its name, when all of it is on the disk. @throws CommandError `WriteFailed` */
  commit(): void {
    refusing('write the file', () => fsyncSync(this.#descriptor));
    this.#close();
    if (this.#force || !this.#link()) {
      assertFree(this.#path, this.#force);
      refusing('give the file its name', () => renameSync(this.#temporary, this.#path));
      this.#isThere = false;
    }
    refusing('write the folder of the file', () => syncFolder(dirname(this.#path)));
  }

  /** Leaves nothing of what was not committed. */
  [Symbol.dispose](): void {
    for (const signal of ENDING_SIGNALS) process.off(signal, this.#onSignal);
    this.#close();
    if (this.#isThere) rmSync(this.#temporary, { force: true });
    this.#isThere = false;
  }

  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this[Symbol.dispose]();
    // Without its listener the signal does what it always does.
    process.kill(process.pid, signal);
  };

  /** A link fails where a rename would replace what somebody else has put there meanwhile. */
  #link(): boolean {
    try {
      linkSync(this.#temporary, this.#path);
      return true;
    } catch (error) {
      // A memory stick's file system has no links.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return false;
      throw existsAlready();
    }
  }

  #close(): void {
    if (this.#isOpen) closeSync(this.#descriptor);
    this.#isOpen = false;
  }
}

function assertFree(path: string, force: boolean): void {
  const stat = refusing('look for the file', () => lstatSync(path, { throwIfNoEntry: false }));
  if (stat === undefined) return;
  if (!force) throw existsAlready();
  if (!stat.isFile()) throw new CommandError('WriteFailed', 'what is there already is no regular file');
}

function existsAlready(): CommandError {
  return new CommandError('WriteFailed', 'the file exists already', 'give another name, or --force to replace it');
}

function syncFolder(path: string): void {
  const folder = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** The path is not repeated: whoever typed it knows it, and it could be a secret in the wrong place. */
function refusing<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    const hint = code === 'ENOSPC' ? 'make room on that disk, or write to another one' : undefined;
    throw new CommandError('WriteFailed', `cannot ${what}: ${code}`, hint);
  }
}
