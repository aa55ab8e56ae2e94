import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Scope } from '../../support/scope.ts';

/** To mount a file system: there are containers whose root may not. */
export function mounting(): string | undefined {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cio-test-mount-'));
  try {
    // In a name space of its own, which takes it away again.
    const attempt = ['--mount', 'mount', '-t', 'tmpfs', 'cio-test', directory];
    const { status, stderr } = spawnSync('unshare', attempt, { encoding: 'utf8' });
    return status === 0 ? undefined : `root that may mount (${(stderr ?? '').trim().split('\n')[0] ?? ''})`;
  } finally {
    fs.rmdirSync(directory);
  }
}

/** A folder on a file system of its own that has room for so many KiB, with more options of tmpfs's. Needs {@link mounting}. */
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

/** Fills it up to so many bytes; less than before, where it was filled already. */
export function leaveRoom(disk: string, bytes: number): void {
  const filler = path.join(disk, 'filler');
  fs.rmSync(filler, { force: true });
  const { bavail, bsize } = fs.statfsSync(disk);
  fs.writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - bytes)));
}

/** Makes it read-only. Nothing may have a file open for writing there. */
export function makeReadOnly(disk: string): void {
  execFileSync('mount', ['-o', 'remount,ro', disk]);
}
