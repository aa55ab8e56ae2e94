import { closeSync, constants, fsyncSync, openSync } from 'node:fs';
import { constants as osConstants } from 'node:os';

import { errnoOf } from '../system-error.ts';

/**
 * Has the names of a directory on the disk when it returns, where its file system can do that: there are some (of FUSE, of
 * other hosts) that sync no directory, and say so (EINVAL, fsync(2)).
 *
 * @throws what the system says of a disk that fails
 */
export function syncDirectory(path: string): void {
  const directory = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(directory);
  } catch (error) {
    if (errnoOf(error) !== osConstants.errno.EINVAL) throw error;
  } finally {
    closeSync(directory);
  }
}
