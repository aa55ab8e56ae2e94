import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a directory and its missing parents. Node's own option `recursive` never returns where mkdir(2) fails with
 * ENOENT below a directory that exists, as in /proc.
 *
 * @param mode of every directory that is made, less the umask
 * @returns the uppermost directory that was made; undefined if all existed
 * @throws the error of mkdir(2)
 */
export function makeDirectories(path: string, mode: number): string | undefined {
  const parent = dirname(path);
  try {
    return makeDirectory(path, mode);
  } catch (error) {
    const isParentMissing = (error as NodeJS.ErrnoException).code === 'ENOENT' && !existsSync(parent);
    if (!isParentMissing || parent === path) throw error;
  }
  const uppermost = makeDirectories(parent, mode);
  const made = makeDirectory(path, mode);
  return uppermost ?? made;
}

/** Makes one directory, which another process may make at the same time. */
function makeDirectory(path: string, mode: number): string | undefined {
  try {
    mkdirSync(path, { mode });
    return path;
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return undefined;
    throw error;
  }
}
