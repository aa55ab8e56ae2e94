import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';

/** How many descriptors this process, and each that it starts, may have: Node takes all that it is allowed. */
export function descriptorLimit(): number {
  return limitOf('Max open files');
}

/** How many processes and threads may be started still; those of the same user count, and those of the container. */
export function processLimit(): number {
  // Whoever may do what the limit forbids (CAP_SYS_RESOURCE), as root mostly may, has none.
  const own = process.geteuid?.() === 0 ? Number.POSITIVE_INFINITY : limitOf('Max processes');
  return Math.min(own, containerLimit());
}

/** How many bytes this process, and each that it starts, may lock into memory where it may not do what limits forbid. */
export function lockLimit(): number {
  return limitOf('Max locked memory');
}

/** Free memory in MiB, of the machine or of the container. */
export function freeMebibytes(): number {
  return Math.min(os.freemem(), process.availableMemory()) / (1024 * 1024);
}

/** The first of the two numbers of a line of /proc/self/limits (proc_pid_limits(5)). */
function limitOf(name: string): number {
  const value = new RegExp(`^${name} +(\\d+) `, 'm').exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return value === undefined ? Number.POSITIVE_INFINITY : Number(value);
}

/** Of cgroups of version 2, where a container sees its own as the root. */
function containerLimit(): number {
  const file = '/sys/fs/cgroup/pids.max';
  const value = existsSync(file) ? Number(readFileSync(file, 'utf8')) : Number.NaN;
  return Number.isNaN(value) ? Number.POSITIVE_INFINITY : value;
}
