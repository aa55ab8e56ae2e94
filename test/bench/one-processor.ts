import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { findCommand } from '../support/requirements.ts';
import type { Scope } from '../support/scope.ts';
import type { Load, Target } from './load.ts';
import { Unavailable } from './row.ts';

/**
 * Puts the load generator, until the scope ends, and the servers that it calls one at a time on one processor, where
 * they take turns: never more than one of them has anything to do.
 *
 * Left alone, the kernel puts them on one or on two processors by chance, and a message to another processor takes 30
 * to 80 µs on many virtual machines, several times as long as the call, so a row would measure that placement.
 *
 * @throws Unavailable
 */
export function takeTurns(scope: Scope, load: Load, servers: readonly Pick<Target, 'pid'>[]): void {
  const taskset = findCommand('taskset');
  if (taskset === undefined) throw new Unavailable('needs taskset (of util-linux)');
  const allowed = allowedProcessors();
  const put = (processors: string, pid: number): void => {
    execFileSync(taskset, ['-cp', processors, String(pid)], { stdio: 'ignore' });
  };
  const [first = '0'] = /^\d+/.exec(allowed) ?? [];
  const generator = load.pid;
  for (const pid of [generator, ...servers.map((server) => server.pid)]) put(first, pid);
  scope.after(() => {
    // After a failed row, the load generator is another process.
    if (load.pid === generator) put(allowed, generator);
  });
}

/** A list such as `0-3,8`; see proc_pid_status(5). */
function allowedProcessors(): string {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
}
