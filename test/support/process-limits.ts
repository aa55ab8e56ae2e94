import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';

/**
 * Returns the limit of file descriptors for this process and each that it starts: the hard limit, since Node raises its
 * soft limit to that.
 */
export function descriptorLimit(): number {
  return limitOf('Max open files');
}

/** Returns how many processes and threads this user, or the container, may have. */
export function processLimit(): number {
  // The limit does not apply to a process with CAP_SYS_RESOURCE, which root usually has.
  const own = process.geteuid?.() === 0 ? Number.POSITIVE_INFINITY : limitOf('Max processes');
  return Math.min(own, containerLimit());
}

/** Returns how many bytes this process, and each that it starts, may lock into memory without CAP_IPC_LOCK. */
export function lockLimit(): number {
  return limitOf('Max locked memory');
}

/** Returns the free memory in MiB, of the machine or of the container. */
export function freeMebibytes(): number {
  return Math.min(os.freemem(), process.availableMemory()) / (1024 * 1024);
}

/** Returns the first of the two numbers of a line of /proc/self/limits, the soft limit (proc_pid_limits(5)). */
function limitOf(name: string): number {
  const value = new RegExp(`^${name} +(\\d+) `, 'm').exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return value === undefined ? Number.POSITIVE_INFINITY : Number(value);
}

/** Returns the limit of the cgroup (version 2). A container sees its own cgroup as the root. */
function containerLimit(): number {
  const file = '/sys/fs/cgroup/pids.max';
  const value = existsSync(file) ? Number(readFileSync(file, 'utf8')) : Number.NaN;
  return Number.isNaN(value) ? Number.POSITIVE_INFINITY : value;
}
