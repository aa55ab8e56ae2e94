import { readFileSync } from 'node:fs';

const NANOSECONDS_PER_MS = 1e6;

/**
 * How long the main thread of a process has been ready to run, and had no processor, since its start, in milliseconds: that
 * is the load of the machine, while what waits for anything else is not ready (the second number of /proc/PID/schedstat,
 * Documentation/scheduler/sched-stats.rst of Linux). 0 where the kernel does not count it, or the process is gone.
 */
export function processorWaitMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[1] ?? 0) / NANOSECONDS_PER_MS;
  } catch {
    return 0;
  }
}
