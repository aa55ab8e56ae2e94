import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { findCommand } from '../support/requirements.ts';
import type { Scope } from '../support/scope.ts';
import type { Load, Target } from './load.ts';
import { Unavailable } from './row.ts';

/**
 * Has the load generator and the servers that it calls one at a time take turns on one processor, the generator until the
 * scope ends: never more than one of them has something to do.
 *
 * Left alone, the kernel puts them on one processor or on two as it happens, and a message to another processor takes 30 to
 * 80 µs on many virtual machines, several times as long as the call: a row would tell where they were put.
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
    // A row that failed has another one started.
    if (load.pid === generator) put(allowed, generator);
  });
}

/** Such as `0-3,8`; proc_pid_status(5). */
function allowedProcessors(): string {
  return /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
}
