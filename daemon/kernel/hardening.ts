import { readFileSync } from 'node:fs';

import { makeUndumpable } from './libc.ts';

/** What protects the process's memory from others, and what does not. */
export interface Hardening {
  readonly isUndumpable: boolean;
  /** For the operator: what is missing. */
  readonly warnings: readonly string[];
}

/** Keeps the memory of this process out of core dumps and debuggers. Keys are kept out of swap where they are made. */
export function hardenProcess(): Hardening {
  try {
    makeUndumpable();
    return { isUndumpable: true, warnings: [] };
  } catch (error) {
    return {
      isUndumpable: false,
      warnings: [`core dumps are not off: ${error instanceof Error ? error.message : 'unknown error'}`],
    };
  }
}

/**
 * Tells whether what the process works with may be written to a swap device: there is one, and the process's cgroup may
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
    // A host without the file has nothing to say about it.
    return '';
  }
}
