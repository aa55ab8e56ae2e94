import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { SwapDevice } from '../facts.ts';
import type { Seen } from '../verdict.ts';
import { attempt, readText } from './files.ts';

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
  if ('unseen' in seen) return 'none';
  const { device, stat } = seen.value;
  // Of a file, the disk that it lies on counts.
  if (stat.isFile()) {
    return isEncrypted(`${root}/sys/dev/block/${majorOf(stat.dev)}:${minorOf(stat.dev)}`) ? 'encrypted' : 'none';
  }
  const folder = `${root}/sys/class/block/${device}`;
  if (/^zram\d+$/.test(device) && ['', 'none'].includes(attribute(folder, 'backing_dev'))) return 'memory';
  return isEncrypted(folder) ? 'encrypted' : 'none';
}

/** By dm-crypt, or made of such devices alone, as a volume of LVM within LUKS is. */
function isEncrypted(folder: string): boolean {
  if (attribute(folder, 'dm/uuid').startsWith('CRYPT-')) return true;
  const below = attempt(folder, () => readdirSync(join(folder, 'slaves')));
  return (
    'value' in below && below.value.length > 0 && below.value.every((name) => isEncrypted(join(folder, 'slaves', name)))
  );
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
