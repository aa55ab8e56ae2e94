import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { SwapDevice } from '../facts.ts';
import type { Seen } from '../verdict.ts';
import { readText, trySee } from './files.ts';
import { mountOf } from './mounts.ts';

/**
 * Lists the devices and files that the kernel swaps to at present.
 *
 * @param root the root of the host's file system
 */
export function lookAtSwap(root: string = ''): Seen<readonly SwapDevice[]> {
  const swaps = trySee('/proc/swaps', () => readFileSync(`${root}/proc/swaps`, 'utf8'));
  if ('unseen' in swaps) return swaps;
  return { value: swapNames(swaps.value).map((name) => ({ name, protection: protectionOf(name, root) })) };
}

/** Parses the names in /proc/swaps (proc_swaps(5)), below its heading. */
export function swapNames(text: string): string[] {
  const lines = text.split('\n').slice(1);
  return lines.flatMap((line) => line.trim().split(/\s+/)[0] || []);
}

function protectionOf(name: string, root: string): SwapDevice['protection'] {
  const seen = trySee(name, () => ({ device: basename(realpathSync(root + name)), stat: statSync(root + name) }));
  // In a container the host's devices do not exist, but the kernel still lists them by name.
  const { device, stat } = 'value' in seen ? seen.value : { device: basename(name), stat: undefined };
  // For a swap file, the disks below it count.
  if (stat?.isFile() === true) {
    const disks = disksOf(name, stat.dev, root);
    return disks.length > 0 && disks.every(isEncrypted) ? 'encrypted' : 'none';
  }
  const folder = `${root}/sys/class/block/${device}`;
  if (/^zram\d+$/.test(device) && ['', 'none'].includes(attribute(folder, 'backing_dev'))) return 'memory';
  return isEncrypted(folder) ? 'encrypted' : 'none';
}

/**
 * Returns the disks below a file's file system, as folders in /sys. On Btrfs a file's device number is that of no disk,
 * and there can be several disks.
 */
function disksOf(path: string, dev: number, root: string): string[] {
  const disk = `${root}/sys/dev/block/${majorOf(dev)}:${minorOf(dev)}`;
  if (existsSync(disk)) return [disk];
  const disks = trySee(path, () => {
    const mount = mountOf(readFileSync(`${root}/proc/self/mountinfo`, 'utf8'), path);
    const device = basename(realpathSync(`${root}${mount?.source}`));
    const pools = `${root}/sys/fs/btrfs`;
    return readdirSync(pools)
      .map((id) => namesIn(join(pools, id, 'devices')))
      .find((names) => names.includes(device));
  });
  const names = ('value' in disks && disks.value) || [];
  return names.map((each) => `${root}/sys/class/block/${each}`);
}

function namesIn(folder: string): string[] {
  const names = trySee(folder, () => readdirSync(folder));
  return 'value' in names ? names.value : [];
}

/** Whether a device is encrypted by dm-crypt, or consists only of such devices, as an LVM volume within LUKS does. */
function isEncrypted(folder: string): boolean {
  if (attribute(folder, 'dm/uuid').startsWith('CRYPT-')) return true;
  const below = namesIn(join(folder, 'slaves'));
  return below.length > 0 && below.every((name) => isEncrypted(join(folder, 'slaves', name)));
}

function attribute(folder: string, name: string): string {
  const text = readText(join(folder, name), 256);
  return 'value' in text ? (text.value ?? '').trim() : '';
}

/** Like gnu_dev_major(3) and gnu_dev_minor(3), for the 32 bits that the kernel uses. */
function majorOf(dev: number): number {
  return (dev >>> 8) & 0xfff;
}

function minorOf(dev: number): number {
  return (dev & 0xff) | ((dev >>> 12) & 0xfff00);
}
