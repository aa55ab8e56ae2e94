import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { command } from '../../support/requirements.ts';
import type { Scope } from '../../support/scope.ts';
import { leaveRoom, smallDisk } from './small-disk.ts';

/** What the disk has altogether, and what it says that it has. */
const REAL_KIBIBYTES = 24 * 1024;
const SAID_BYTES: number = 64 * 1024 ** 2;
/** A page of the memory that it lies in, which there is room for or not. */
const BLOCK_KIBIBYTES = 4;

/** What such disks are made of. */
export function failingDisks(): string | undefined {
  // In a container there may be the device that makes loop devices, and none of them.
  const { status, stdout } = spawnSync('losetup', ['--find', '--show', import.meta.filename], { encoding: 'utf8' });
  if (status !== 0) return 'loop devices';
  const device = stdout.trim();
  const isOurs = isWritable(longestRequestOf(device));
  execFileSync('losetup', ['--detach', device]);
  if (!isOurs) return 'loop devices whose settings may be changed (/sys)';
  return command('mkfs.ext4', 'e2fsprogs')();
}

/** The file where the kernel has the most KiB that it writes to a block device at once. */
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
 * A real file system on a disk whose writes fail when they are told to. Where a sync fails, the kernel takes what could not
 * be written for written: it can be read as long as it is in memory, and is not on the disk.
 */
export class FailingDisk {
  readonly directory: string;
  readonly #device: string;
  readonly #below: string;
  /** What is undone at the end, in this order; before what it all lies on. */
  readonly #undo: (() => void)[] = [];

  constructor(scope: Scope) {
    scope.after(() => {
      for (const undo of this.#undo) undo();
    });
    this.#below = smallDisk(scope, REAL_KIBIBYTES);
    const image = path.join(this.#below, 'image');
    fs.writeFileSync(image, '');
    fs.truncateSync(image, SAID_BYTES);
    // Its own journal would stop it at the first failure; here it is the program's that is looked at.
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
    // A loop device says that all of a request was written where a part of it was.
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

  /** From now on nothing is written that lies where nothing was written before. */
  fail(): void {
    try {
      leaveRoom(this.#below, 0);
    } catch (error) {
      // The kernel wrote what it still had meanwhile: there is no room then either.
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    }
  }

  work(): void {
    fs.rmSync(path.join(this.#below, 'filler'));
  }

  /** Forgets what the kernel has in memory and takes for written. Nobody may use it. */
  forget(): void {
    execFileSync('umount', [this.directory]);
    this.#mount();
  }

  #mount(): void {
    execFileSync('mount', ['-o', 'errors=continue', this.#device, this.directory]);
  }
}
