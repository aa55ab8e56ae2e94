import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { abbreviate } from './abbreviate.ts';

/** Error codes of open(2) and write(2) in words, for a file that the user named. */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'it does not exist',
  EEXIST: 'it already exists',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EISDIR: 'it is a folder',
  ENOTDIR: 'part of the path is not a folder',
  ELOOP: 'it is a link, or there are too many',
  EROFS: 'its file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  ENAMETOOLONG: 'the name is too long',
  EBADF: 'it is closed',
  ENXIO: 'its other end is not open',
};

/** Names of error codes that Node does not know. */
const NAMES: Readonly<Record<string, string>> = {
  'Unknown system error -116': 'ESTALE',
  'Unknown system error -122': 'EDQUOT',
};

/** Returns why a system call on a file failed, as in `it does not exist (ENOENT)`. */
export function reasonOf(error: unknown): string {
  return reasonOfCode((error as NodeJS.ErrnoException).code ?? 'unknown error');
}

/** Returns the same for an error code. */
export function reasonOfCode(code: string): string {
  const name = NAMES[code] ?? code;
  const words = WORDS[name];
  return words === undefined ? name : `${words} (${name})`;
}

/**
 * Returns a path for a message. The part that exists is shown whole; the rest is abbreviated like any other word of the
 * command line, as it may be a secret typed in the wrong place.
 */
export function shownPath(path: string): string {
  let there = resolve(path);
  let rest = '';
  while (!existsSync(there) && dirname(there) !== there) {
    rest = join(basename(there), rest);
    there = dirname(there);
  }
  return rest === '' ? there : join(there, abbreviate(rest));
}
