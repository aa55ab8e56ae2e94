import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scope } from '../../support/scope.ts';

const ROOT = '/sys/fs/cgroup';
const MEBIBYTE = 1024 * 1024;

/** Limit of attempts to set a limit: the memory in use may have grown since it was read. */
const LIMITS_MAX = 100;
const REMOVALS_MAX = 200;
const REMOVAL_PAUSE_MS = 50;

/** A limit on the memory of processes. */
export interface Cage {
  /** How it is done on this machine. */
  readonly what: string;
  /** The prefix of a command that runs in it. */
  readonly prefix: readonly string[];
  /** The most memory used in it, in MiB. */
  readonly peakMebibytes: () => number;
  /** Sets the limit to so much above what is in use now, but never raises it. */
  readonly leaveMebibytes: (room: number) => void;
  /** Whether memory can be swapped without being counted, so that nothing would be killed. */
  readonly canSwap: boolean;
  /** The number of processes in it that the kernel has killed for lack of memory. */
  readonly kills: () => number;
}

interface Controller {
  readonly what: string;
  readonly folder: string;
  readonly limit: string;
  /** The file that limits swap, where swap is accounted; nothing is to be swapped. */
  readonly swap: readonly [file: string, bytes: (limit: number) => number];
  readonly peak: string;
  readonly used: string;
  /** A file with the line `oom_kill` and a number. */
  readonly events: string;
}

/**
 * Makes a cgroup with a memory limit; undefined if none can be made. RLIMIT_DATA would not do, as V8 maps ten times
 * what it uses.
 */
export function makeCage(scope: Scope, mebibytes: number): Cage | undefined {
  const bytes = mebibytes * MEBIBYTE;
  for (const { what, folder, limit, swap, peak, used, events } of controllers()) {
    const directory = path.join(folder, `cio-torture-${process.pid}-${mebibytes}`);
    if (!makeCgroup(directory, limit)) continue;
    scope.after(() => removeCgroup(directory));
    writeFileSync(path.join(directory, limit), `${bytes}`);
    const [swapFile, swapBytes] = swap;
    const isSwapLimited = existsSync(path.join(directory, swapFile));
    const limitSwap = (memory: number): void => {
      if (isSwapLimited) writeFileSync(path.join(directory, swapFile), `${swapBytes(memory)}`);
    };
    limitSwap(bytes);
    const textOf = (file: string): string => readFileSync(path.join(directory, file), 'utf8');
    return {
      what: `${what} of ${mebibytes} MiB`,
      prefix: ['/bin/sh', '-c', 'echo $$ > "$0/cgroup.procs" && exec "$@"', directory],
      peakMebibytes: () => Number(textOf(peak)) / MEBIBYTE,
      leaveMebibytes(room) {
        tighten(path.join(directory, limit), () => Number(textOf(used)) + Math.floor(room * MEBIBYTE));
        limitSwap(Number(textOf(limit)));
      },
      canSwap: !isSwapLimited && hasSwap(),
      kills: () => Number(/^oom_kill (\d+)$/m.exec(textOf(events))?.[1] ?? 0),
    };
  }
  return undefined;
}

/** Returns the memory controllers above this process, of both versions of cgroups. */
function controllers(): Controller[] {
  const lines = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n');
  const own = (pattern: RegExp): string => pattern.exec(lines.find((line) => pattern.test(line)) ?? '')?.[1] ?? '/';
  const version2: Controller = {
    what: 'cgroup v2, memory.max',
    folder: path.join(ROOT, own(/^0::(\/.*)$/)),
    limit: 'memory.max',
    swap: ['memory.swap.max', () => 0],
    peak: 'memory.peak',
    used: 'memory.current',
    events: 'memory.events',
  };
  const version1: Controller = {
    what: 'cgroup v1, memory.limit_in_bytes',
    folder: path.join(ROOT, 'memory', own(/^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/)),
    limit: 'memory.limit_in_bytes',
    swap: ['memory.memsw.limit_in_bytes', (limit) => limit],
    peak: 'memory.max_usage_in_bytes',
    used: 'memory.usage_in_bytes',
    events: 'memory.oom_control',
  };
  return [version2, { ...version2, folder: ROOT }, version1, { ...version1, folder: path.join(ROOT, 'memory') }];
}

/** @returns whether it was made, with a file for that limit */
function makeCgroup(directory: string, limit: string): boolean {
  if (!existsSync(path.join(path.dirname(directory), 'cgroup.procs'))) return false;
  try {
    mkdirSync(directory);
  } catch {
    // No right to make it.
    return false;
  }
  if (existsSync(path.join(directory, limit))) return true;
  rmdirSync(directory);
  return false;
}

/** The first line of /proc/swaps names the columns (proc_swaps(5)). */
function hasSwap(): boolean {
  return readFileSync('/proc/swaps', 'utf8').trim().split('\n').length > 1;
}

/** Retried, as cgroup v1 refuses a limit below the memory in use. */
function tighten(file: string, bytes: () => number): void {
  for (let attempt = 1; ; attempt += 1) {
    try {
      writeFileSync(file, `${Math.min(bytes(), Number(readFileSync(file, 'utf8')))}`);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || attempt === LIMITS_MAX) throw error;
    }
  }
}

/** Retried, as an ended process leaves its cgroup a little later. */
async function removeCgroup(directory: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      rmdirSync(directory);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || attempt === REMOVALS_MAX) throw error;
      await sleep(REMOVAL_PAUSE_MS);
    }
  }
}
