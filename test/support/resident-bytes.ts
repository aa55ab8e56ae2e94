import fs from 'node:fs';

/** Returns the resident memory of a process (proc_pid_status(5)). */
export function residentBytes(pid: number): number {
  return 1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
