import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  statSync,
  type Stats,
} from 'node:fs';
import { dirname } from 'node:path';
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
  return trySee(path, () => readRegularFile(path, bytesMax));
}

/** Reads like {@link readText}, and throws the system's error instead of returning a reason that names the path. */
export function readRegularFile(path: string, bytesMax: number): string | undefined {
  let descriptor: number | undefined;
  try {
    // O_NONBLOCK: opening a FIFO that somebody put there must not wait for a writer.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    if (!fstatSync(descriptor).isFile()) return undefined;
    const bytes = Buffer.alloc(bytesMax);
    let length = 0;
    for (let count = -1; count !== 0 && length < bytesMax; length += count) {
      count = readSync(descriptor, bytes, length, bytesMax - length, null);
    }
    return bytes.toString('utf8', 0, length);
  } catch (error) {
    if (ABSENT.includes(codeOf(error))) return undefined;
    throw error;
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

/**
 * Returns why something about a path could not be seen. The message names the path of the system call that failed, if
 * the error has one.
 */
export function reasonFor(path: string, error: unknown): string {
  const failed = (error instanceof Error && (error as NodeJS.ErrnoException).path) || path;
  return `${failed} cannot be read (${causeOf(failed, error)})`;
}

/** Returns the same without the path, for a message that names the path itself. */
export function causeOf(path: string, error: unknown): string {
  const code = codeOf(error);
  if (code !== 'EACCES') return code === 'EPERM' ? 'operation not permitted' : code;
  const folder = foldersAbove(path).find((each) => !canSearch(each));
  return folder === undefined ? 'permission denied' : `no search permission for ${folder}`;
}

/** Returns the folders that the kernel searches on the way to an absolute path (path_resolution(7)), `/` first. */
function foldersAbove(path: string): string[] {
  const parent = dirname(path);
  return parent === path ? [] : [...foldersAbove(parent), parent];
}

function canSearch(folder: string): boolean {
  try {
    accessSync(folder, constants.X_OK);
    return true;
  } catch {
    return false;
  }
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
