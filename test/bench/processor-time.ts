import { readFileSync } from 'node:fs';

/** `utime` and `stime` of /proc/<pid>/stat, in ticks of `USER_HZ` (proc_pid_stat(5)). */
const TICK_MS = 10;

/** What a process has used of the processors since its start, in ms. */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}
