import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { abbreviate } from './abbreviate.ts';

/** What the codes of open(2) and write(2) mean for a file that somebody named. */
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'it is not there',
  EEXIST: 'it is there already',
  EACCES: 'no right to',
  EPERM: 'not permitted',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is no folder',
  ELOOP: 'it is a link, or there are too many',
  EROFS: 'its file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the quota is used up',
  ENAMETOOLONG: 'the name is too long',
  EBADF: 'it is closed',
  ENXIO: 'nobody reads or writes at its other end',
};

/** Codes that Node has no names for. */
const NAMES: Readonly<Record<string, string>> = {
  'Unknown system error -116': 'ESTALE',
  'Unknown system error -122': 'EDQUOT',
};

/** Why a call for a file failed, as in `it is not there (ENOENT)`. */
export function reasonOf(error: unknown): string {
  return reasonOfCode((error as NodeJS.ErrnoException).code ?? 'unknown error');
}

/** The same of its code. */
export function reasonOfCode(code: string): string {
  const name = NAMES[code] ?? code;
  const words = WORDS[name];
  return words === undefined ? name : `${words} (${name})`;
}

/**
 * A path for a message: whole as far as it is there; of the rest no more than of any other word of a command line, which
 * may be a secret in the wrong place.
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
