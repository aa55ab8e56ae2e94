import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { command } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { leaveRoom, smallDisk } from './small-disk.ts';

/** The real capacity of the disk, and the capacity that it reports. */
const REAL_KIBIBYTES = 24 * 1024;
const REPORTED_BYTES: number = 64 * 1024 ** 2;
/** The size of a page of the tmpfs below: a block of the file system has room for all of it or nothing. */
const BLOCK_KIBIBYTES = 4;

/** Returns what such disks need and this host lacks, or undefined. */
export function failingDisks(): string | undefined {
  // A container may have the device that makes loop devices, but no loop device.
  const { status, stdout } = spawnSync('losetup', ['--find', '--show', import.meta.filename], { encoding: 'utf8' });
  if (status !== 0) return 'loop devices';
  const device = stdout.trim();
  const isOurs = isWritable(longestRequestOf(device));
  execFileSync('losetup', ['--detach', device]);
  if (!isOurs) return 'loop devices whose settings may be changed (/sys)';
  return command('mkfs.ext4', 'e2fsprogs')();
}

/** Returns the sysfs file with the most KiB that the kernel writes to a block device at once. */
function longestRequestOf(device: string): string {
  return `/sys/block/${path.basename(device)}/queue/max_sectors_kb`;
}

function isWritable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * A real file system on a disk whose writes fail on request. After a failed fsync, the kernel marks the dirty pages as
 * clean: they can be read while they are cached, but are not on the disk.
 */
export class FailingDisk {
  readonly directory: string;
  readonly #device: string;
  readonly #below: string;
  /** Clean-up steps, run in this order at the end, before the file system below is unmounted. */
  readonly #undo: (() => void)[] = [];

  constructor(scope: Scope) {
    scope.after(() => {
      for (const undo of this.#undo) undo();
    });
    this.#below = smallDisk(scope, REAL_KIBIBYTES);
    const image = path.join(this.#below, 'image');
    fs.writeFileSync(image, '');
    fs.truncateSync(image, REPORTED_BYTES);
    // The file system's own journal would stop it at the first failure; these tests are about the daemon's WAL.
    execFileSync('mkfs.ext4', [
      '-q',
      '-b',
      `${BLOCK_KIBIBYTES * 1024}`,
      '-O',
      '^has_journal',
      '-E',
      'lazy_itable_init=0',
      image,
    ]);
    this.#device = execFileSync('losetup', ['--find', '--show', image], { encoding: 'utf8' }).trim();
    // A loop device reports a partly written request as completely written.
    const longestRequest = longestRequestOf(this.#device);
    const usual = fs.readFileSync(longestRequest, 'utf8');
    fs.writeFileSync(longestRequest, `${BLOCK_KIBIBYTES}`);
    this.#undo.push(() => {
      fs.writeFileSync(longestRequest, usual);
      execFileSync('losetup', ['--detach', this.#device]);
    });
    this.directory = path.join(this.#below, 'mounted');
    fs.mkdirSync(this.directory);
    this.#mount();
    this.#undo.unshift(() => void execFileSync('umount', ['--lazy', this.directory]));
  }

  /** Makes every write fail that needs a block not yet allocated below. */
  fail(): void {
    try {
      leaveRoom(this.#below, 0);
    } catch (error) {
      // The kernel wrote back dirty pages meanwhile: in this case, too, there is no room left.
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  work(): void {
    fs.rmSync(path.join(this.#below, 'filler'));
  }

  /** Drops the pages that the kernel has cached. No process may use the file system. */
  forget(): void {
    execFileSync('umount', [this.directory]);
    this.#mount();
  }

  #mount(): void {
    execFileSync('mount', ['-o', 'errors=continue', this.#device, this.directory]);
  }
}
