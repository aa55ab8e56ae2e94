import { readFileSync } from 'node:fs';

import { makeUndumpable } from './libc.ts';

/** Whether the memory of the process is protected from others. */
export interface Hardening {
  readonly isUndumpable: boolean;
  /** The protections that are missing, for the operator. */
  readonly warnings: readonly string[];
}

/**
 * Keeps the memory of this process out of core dumps and debuggers. It does not keep keys out of swap; lockPages()
 * does.
 */
export function hardenProcess(): Hardening {
  try {
    makeUndumpable();
    return { isUndumpable: true, warnings: [] };
  } catch (error) {
    return {
      isUndumpable: false,
      warnings: [`core dumps cannot be turned off: ${error instanceof Error ? error.message : 'unknown error'}`],
    };
  }
}

/**
 * Tells whether the memory of the process may be written to a swap device: there is one, and the process's cgroup may
 * use it (`MemorySwapMax=0` in the unit forbids it).
 */
export function mayBeSwapped(): boolean {
  return hasSwap() && cgroupSwapMax() !== '0';
}

function hasSwap(): boolean {
  return readText('/proc/swaps').trim().split('\n').length > 1;
}

function cgroupSwapMax(): string {
  const path = /^0::(\/.*)$/m.exec(readText('/proc/self/cgroup'))?.[1];
  return path === undefined ? '' : readText(`/sys/fs/cgroup${path}/memory.swap.max`).trim();
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // This kernel does not have the file, or the process may not read it.
    return '';
  }
}
