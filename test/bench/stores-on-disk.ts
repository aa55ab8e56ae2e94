import { accessSync, constants, statfsSync } from 'node:fs';
import os from 'node:os';

/** `TMPFS_MAGIC` of statfs(2). */
const TMPFS = 0x0102_1994;
/** What is there outlives a restart, and so is no memory (file-hierarchy(7)). */
const ON_DISK = '/var/tmp';

/**
 * Has temporary folders made on a disk, where a sync costs what it costs a user, and where there is room: /tmp is memory on many
 * systems. Whoever says where they are to be, by TMPDIR, is asked nothing.
 */
export function storesOnDisk(): void {
  if (process.env['TMPDIR'] !== undefined || !isMemory(os.tmpdir())) return;
  try {
    accessSync(ON_DISK, constants.W_OK);
    if (!isMemory(ON_DISK)) process.env['TMPDIR'] = ON_DISK;
  } catch {
    // There is none: the report says where the stores were.
  }
}

function isMemory(folder: string): boolean {
  return statfsSync(folder).type === TMPFS;
}
