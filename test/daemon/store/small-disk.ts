import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from '../../support/scope.ts';

/** Returns undefined if file systems can be mounted, or what is missing: in some containers, root may not mount. */
export function mounting(): string | undefined {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cio-test-mount-'));
  try {
    // In a mount namespace of its own, so that the mount goes away by itself.
    const attempt = ['--mount', 'mount', '-t', 'tmpfs', 'cio-test', directory];
    const { status, stderr } = spawnSync('unshare', attempt, { encoding: 'utf8' });
    return status === 0 ? undefined : `root that may mount (${(stderr ?? '').trim().split('\n')[0] ?? ''})`;
  } finally {
    fs.rmdirSync(directory);
  }
}

/** Makes a directory on a tmpfs of the given size, with more options of tmpfs. Needs {@link mounting}. */
export function smallDisk(scope: Scope, kibibytes: number, more: readonly string[] = []): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cio-test-disk-'));
  try {
    const options = [`size=${kibibytes}k`, 'mode=0700', ...more].join();
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'cio-test', directory], { stdio: 'pipe' });
  } catch (error) {
    fs.rmdirSync(directory);
    throw error;
  }
  scope.after(() => {
    execFileSync('umount', ['--lazy', directory]);
    fs.rmdirSync(directory);
  });
  return directory;
}

/** Fills the disk up to the given number of free bytes, replacing an earlier filling. */
export function leaveRoom(disk: string, bytes: number): void {
  const filler = path.join(disk, 'filler');
  fs.rmSync(filler, { force: true });
  const { bavail, bsize } = fs.statfsSync(disk);
  fs.writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - bytes)));
}

/** Remounts the disk read-only. No file there may be open for writing. */
export function makeReadOnly(disk: string): void {
  execFileSync('mount', ['-o', 'remount,ro', disk]);
}
