import { existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder, and those above it that are not there. Node's own way (`recursive`) never ends where mkdir(2) says
 * ENOENT below a folder that is there, as it does in /proc.
 *
 * @param mode of every folder that is made, less the umask
 * @returns the uppermost folder that was made; undefined where all were there
 * @throws what mkdir(2) says
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

/** The same for one folder, which another process may make at the same time. */
function makeDirectory(path: string, mode: number): string | undefined {
  try {
    mkdirSync(path, { mode });
    return path;
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) return undefined;
    throw error;
  }
}
