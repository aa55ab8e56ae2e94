import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { CommandError } from '../command-error.ts';
import { ALL_TERMINATION_SIGNALS, onTermination } from '../on-termination.ts';

/** Types of file systems in memory, statfs(2). */
const TMPFS_MAGIC = 0x0102_1994;
const RAMFS_MAGIC = 0x8584_58f6;

/** Mode bits: writable by group or others; the sticky bit, by which only the owner of a file may remove it. */
const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

const CHUNK_BYTES = 64 * 1024;

/** Signals that end this process. SIGINT is not among them: while the editor runs, Ctrl-C is for the editor. */
const CLEANUP_SIGNALS = ALL_TERMINATION_SIGNALS.filter((signal) => signal !== 'SIGINT');

/**
 * A folder in memory that other users cannot read. Its content, including an editor's backups and swap files, is
 * overwritten and removed however this process ends, except by SIGKILL.
 *
 * @example using folder = MemoryFolder.make(process.env);
 */
export class MemoryFolder implements Disposable {
  readonly path: string;
  readonly #onExit = (): void => this.#wipe();
  readonly #ending: Disposable = onTermination(() => this[Symbol.dispose](), CLEANUP_SIGNALS);
  readonly #onInterrupt = (): void => undefined;

  private constructor(path: string) {
    this.path = path;
    process.on('exit', this.#onExit).on('SIGINT', this.#onInterrupt);
  }

  /** Creates a folder. @throws CommandError `WriteFailed` if there is no suitable file system in memory */
  static make(environment: NodeJS.ProcessEnv): MemoryFolder {
    const uid = process.getuid?.() ?? 0;
    const places = [environment['XDG_RUNTIME_DIR'], `/run/user/${uid}`, '/dev/shm'];
    for (const place of places) {
      if (!place || !isSafe(place, uid)) continue;
      try {
        return new MemoryFolder(mkdtempSync(join(place, 'cio-edit-')));
      } catch {
        // Full or read-only: try the next place.
      }
    }
    throw new CommandError(
      'WriteFailed',
      'there is no place in memory for the file: neither XDG_RUNTIME_DIR nor /dev/shm will do',
      'secrets are not written to a disk; cio credential create NAME - --replace takes one without a file',
    );
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#onExit).off('SIGINT', this.#onInterrupt);
    this.#ending[Symbol.dispose]();
    this.#wipe();
  }

  #wipe(): void {
    try {
      for (const entry of readdirSync(this.path, { recursive: true, withFileTypes: true })) {
        if (entry.isFile()) overwrite(join(entry.parentPath, entry.name));
      }
    } catch (error) {
      // The editor may have removed the folder, too.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    } finally {
      rmSync(this.path, { recursive: true, force: true });
    }
  }
}

function isSafe(place: string, uid: number): boolean {
  try {
    const { type } = statfsSync(place);
    const stat = statSync(place);
    const isOwned = stat.uid === uid || stat.uid === 0;
    const isOpen = (stat.mode & WRITABLE_BY_OTHERS) !== 0 && (stat.mode & STICKY) === 0;
    return (type === TMPFS_MAGIC || type === RAMFS_MAGIC) && isOwned && !isOpen;
  } catch {
    return false;
  }
}

function overwrite(path: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_WRONLY | constants.O_NOFOLLOW);
  } catch {
    // It is gone, or its mode keeps even the owner out. It is removed with the folder.
    return;
  }
  try {
    const { size } = fstatSync(descriptor);
    const zeros = Buffer.alloc(Math.min(size, CHUNK_BYTES));
    for (let at = 0; at < size; at += zeros.length)
      writeSync(descriptor, zeros, 0, Math.min(zeros.length, size - at), at);
    ftruncateSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
