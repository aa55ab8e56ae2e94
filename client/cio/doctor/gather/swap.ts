import { basename } from 'node:path';
import { readFileSync, realpathSync } from 'node:fs';
import type { SwapDevice } from '../facts.ts';
import type { Seen } from '../verdict.ts';
import { attempt, readText } from './files.ts';

/** What the kernel swaps to now. */
export function lookAtSwap(): Seen<readonly SwapDevice[]> {
  const swaps = attempt('/proc/swaps', () => readFileSync('/proc/swaps', 'utf8'));
  if ('unseen' in swaps) return swaps;
  return { value: swapNames(swaps.value).map((name) => ({ name, protection: protectionOf(name) })) };
}

/** The names in /proc/swaps (proc_swaps(5)), below its heading. */
export function swapNames(text: string): string[] {
  const lines = text.split('\n').slice(1);
  return lines.flatMap((line) => line.trim().split(/\s+/)[0] || []);
}

function protectionOf(name: string): SwapDevice['protection'] {
  const device = attempt(name, () => basename(realpathSync(name)));
  if ('unseen' in device) return 'none';
  const attribute = (path: string): string => {
    const text = readText(`/sys/block/${device.value}/${path}`, 256);
    return 'value' in text ? (text.value ?? '').trim() : '';
  };
  if (/^zram\d+$/.test(device.value) && ['', 'none'].includes(attribute('backing_dev'))) return 'memory';
  return attribute('dm/uuid').startsWith('CRYPT-') ? 'encrypted' : 'none';
}
