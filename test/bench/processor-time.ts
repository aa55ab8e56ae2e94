import { readFileSync } from 'node:fs';

/** The unit of `utime` and `stime` in /proc/<pid>/stat: a tick of `USER_HZ` (proc_pid_stat(5)). */
const TICK_MS = 10;

/** Returns the processor time that a process has used since its start, in ms. */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
