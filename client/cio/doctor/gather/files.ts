import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, statSync, type Stats } from 'node:fs';
import type { FileKind, SeenFile } from '../facts.ts';
import type { Seen } from '../verdict.ts';

const MODE_BITS = 0o7777;
const ABSENT: readonly string[] = ['ENOENT', 'ENOTDIR'];

/** Looks at a path itself, not at what it leads to. */
export function lookAt(path: string): SeenFile {
  return look(path, lstatSync);
}

/** Looks at what a path leads to. */
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

/** A regular file's start as text, at most `bytesMax` of it; undefined where there is none. */
export function readText(path: string, bytesMax: number): Seen<string | undefined> {
  let descriptor: number | undefined;
  try {
    // Not to wait for the writer of a pipe that somebody put there.
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

/** Does something with a path, and gives the reason where that is not allowed or possible. */
export function attempt<Value>(path: string, look: () => Value): Seen<Value> {
  try {
    return { value: look() };
  } catch (error) {
    return { unseen: reasonFor(path, error) };
  }
}

/** Why something of a path was not seen. */
export function reasonFor(path: string, error: unknown): string {
  const code = codeOf(error);
  return code === 'EACCES' || code === 'EPERM' ? `${path} is for root to see` : `${path} cannot be read (${code})`;
}

/** The name of a system error. */
export function codeOf(error: unknown): string {
  return error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.name) : 'unknown error';
}

function kindOf(stat: Stats): FileKind {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  return stat.isSocket() ? 'socket' : 'other';
}
