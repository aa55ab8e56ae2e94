import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import type { FileKind, SeenFile } from '../facts.ts';
import type { Seen } from '../verdict.ts';

const MODE_BITS = 0o7777;
const ABSENT: readonly string[] = ['ENOENT', 'ENOTDIR'];

/** Looks at a path itself; a symbolic link is not followed. */
export function lookAt(path: string): SeenFile {
  return look(path, lstatSync);
}

/** Looks at the target of a path; symbolic links are followed. */
export function lookThrough(path: string): SeenFile {
  return look(path, statSync);
}

function look(path: string, statOf: (path: string) => Stats): SeenFile {
  try {
    const stat = statOf(path);
    return { value: { path, kind: kindOf(stat), uid: stat.uid, mode: stat.mode & MODE_BITS } };
  } catch (error) {
    return ABSENT.includes(codeOf(error)) ? { value: undefined } : { unseen: reasonFor(path, error) };
  }
}

/** Reads at most the first `bytesMax` bytes of a regular file as UTF-8; undefined where there is no such file. */
export function readText(path: string, bytesMax: number): Seen<string | undefined> {
  let descriptor: number | undefined;
  try {
    // O_NONBLOCK: opening a FIFO that somebody put there must not wait for a writer.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    if (!fstatSync(descriptor).isFile()) return { value: undefined };
    const bytes = Buffer.alloc(bytesMax);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytesMax; length += count) {
      count = readSync(descriptor, bytes, length, bytesMax - length, null);
    }
    return { value: bytes.toString('utf8', 0, length) };
  } catch (error) {
    return ABSENT.includes(codeOf(error)) ? { value: undefined } : { unseen: reasonFor(path, error) };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Runs an operation on a path, and turns an error into its reason. */
export function trySee<Value>(path: string, look: () => Value): Seen<Value> {
  try {
    return { value: look() };
  } catch (error) {
    return { unseen: reasonFor(path, error) };
  }
}

/** Returns why something about a path could not be seen. */
export function reasonFor(path: string, error: unknown): string {
  const code = codeOf(error);
  return code === 'EACCES' || code === 'EPERM' ? `${path} is visible to root only` : `${path} cannot be read (${code})`;
}

/** Returns the code of a system error, such as `ENOENT`; the name of any other error. */
export function codeOf(error: unknown): string {
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.name) : 'unknown error';
}

function kindOf(stat: Stats): FileKind {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  return stat.isSocket() ? 'socket' : 'other';
}
