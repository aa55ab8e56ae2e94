import { accessSync, constants, statfsSync } from 'node:fs';
import os from 'node:os';

/** `TMPFS_MAGIC` of statfs(2). */
const TMPFS = 0x0102_1994;
/** Persists across restarts, so it is on a disk (file-hierarchy(7)). */
const ON_DISK = '/var/tmp';

/**
 * Puts temporary folders on a disk, where a sync costs what it costs users, and where there is space: /tmp is a tmpfs
 * on many systems. A TMPDIR in the environment is kept.
 */
export function storesOnDisk(): void {
  if (process.env['TMPDIR'] !== undefined || !isMemory(os.tmpdir())) return;
  try {
    accessSync(ON_DISK, constants.W_OK);
    if (!isMemory(ON_DISK)) process.env['TMPDIR'] = ON_DISK;
  } catch {
    // No such folder: the report says where the stores were.
  }
}

function isMemory(folder: string): boolean {
  return statfsSync(folder).type === TMPFS;
}
