import { closeSync, constants, fsyncSync, openSync } from 'node:fs';
import { constants as osConstants } from 'node:os';

import { errnoOf } from '../system-error.ts';

/**
 * Syncs a directory, so that its entries are on the disk. Some file systems (FUSE, shared folders of other hosts)
 * cannot sync directories and return EINVAL (fsync(2)), which is ignored.
 *
 * @throws any other error of the system
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
