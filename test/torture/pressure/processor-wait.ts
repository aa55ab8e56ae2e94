import { readFileSync } from 'node:fs';

const NANOSECONDS_PER_MS = 1e6;

/**
 * Returns the time for which the main thread of a process has been runnable without running since its start, in
 * milliseconds. It measures the load of the machine, as a thread that waits for anything else is not runnable (the
 * second number of /proc/PID/schedstat, Documentation/scheduler/sched-stats.rst of Linux). 0 if the kernel does not
 * count it, or the process has ended.
 */
export function processorWaitMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[1] ?? 0) / NANOSECONDS_PER_MS;
  } catch {
    return 0;
  }
}
