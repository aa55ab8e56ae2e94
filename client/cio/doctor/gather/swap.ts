import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { SwapDevice } from '../facts.ts';
import type { Seen } from '../verdict.ts';
import { attempt, readText } from './files.ts';
import { mountOf } from './mounts.ts';

/**
 * What the kernel swaps to now.
 *
 * @param root the root of the host's file system
 */
export function lookAtSwap(root: string = ''): Seen<readonly SwapDevice[]> {
  const swaps = attempt('/proc/swaps', () => readFileSync(`${root}/proc/swaps`, 'utf8'));
  if ('unseen' in swaps) return swaps;
  return { value: swapNames(swaps.value).map((name) => ({ name, protection: protectionOf(name, root) })) };
}

/** The names in /proc/swaps (proc_swaps(5)), below its heading. */
export function swapNames(text: string): string[] {
  const lines = text.split('\n').slice(1);
  return lines.flatMap((line) => line.trim().split(/\s+/)[0] || []);
}

function protectionOf(name: string, root: string): SwapDevice['protection'] {
  const seen = attempt(name, () => ({ device: basename(realpathSync(root + name)), stat: statSync(root + name) }));
  // In a container the host's devices are not there, and the kernel tells of them under their names.
  const { device, stat } = 'value' in seen ? seen.value : { device: basename(name), stat: undefined };
  // Of a file, the disks that it lies on count.
  if (stat?.isFile() === true) {
    const disks = disksOf(name, stat.dev, root);
    return disks.length > 0 && disks.every(isEncrypted) ? 'encrypted' : 'none';
  }
  const folder = `${root}/sys/class/block/${device}`;
  if (/^zram\d+$/.test(device) && ['', 'none'].includes(attribute(folder, 'backing_dev'))) return 'memory';
  return isEncrypted(folder) ? 'encrypted' : 'none';
}

/** Of a file's system: on Btrfs the file's device is a number that no disk has, and there can be several disks. */
function disksOf(path: string, dev: number, root: string): string[] {
  const disk = `${root}/sys/dev/block/${majorOf(dev)}:${minorOf(dev)}`;
  if (existsSync(disk)) return [disk];
  const disks = attempt(path, () => {
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
  const names = attempt(folder, () => readdirSync(folder));
  return 'value' in names ? names.value : [];
}

/** By dm-crypt, or made of such devices alone, as a volume of LVM within LUKS is. */
function isEncrypted(folder: string): boolean {
  if (attribute(folder, 'dm/uuid').startsWith('CRYPT-')) return true;
  const below = namesIn(join(folder, 'slaves'));
  return below.length > 0 && below.every((name) => isEncrypted(join(folder, 'slaves', name)));
}

function attribute(folder: string, name: string): string {
  const text = readText(join(folder, name), 256);
  return 'value' in text ? (text.value ?? '').trim() : '';
}

/** As gnu_dev_major(3) and gnu_dev_minor(3), within the 32 bits that the kernel has. */
function majorOf(dev: number): number {
  return (dev >>> 8) & 0xfff;
}

function minorOf(dev: number): number {
  return (dev & 0xff) | ((dev >>> 12) & 0xfff00);
}
