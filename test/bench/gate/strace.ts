import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { eventually } from '../../support/eventually.ts';
import { plainEnvironment, run, Service } from '../../support/process.ts';
import type { Scope } from '../../support/scope.ts';
import { temporaryDirectory } from '../../support/temporary-directory.ts';

const STRACE = '/usr/bin/strace';

/**
 * System calls with which V8's and libuv's threads wake each other and manage memory. Their numbers vary with the
 * machine's load, so they are not counted.
 */
const NOT_COUNTED = new Set(
  'futex sched_yield madvise mmap munmap mprotect brk mremap getpid rt_sigprocmask restart_syscall io_uring_enter'.split(
    ' ',
  ),
);

/** System calls by name. */
export type Counts = ReadonlyMap<string, number>;

/** Returns the number of system calls that the program itself makes. */
export function total(counts: Counts): number {
  return [...counts].reduce((sum, [name, count]) => (NOT_COUNTED.has(name) ? sum : sum + count), 0);
}

/** Runs a command to its end. @returns its system calls and those of its descendants */
export async function countCalls(
  scope: Scope,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<Counts> {
  const output = path.join(temporaryDirectory(scope, 'cio-gate'), 'strace');
  const { code, stderr } = await run([STRACE, '-f', '-c', '-o', output, '--', ...command], { env });
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${String(code)}: ${stderr}`);
  return parseCounts(readFileSync(output, 'utf8'));
}

/** Counts the system calls of a process during some work. */
export async function countCallsOf(scope: Scope, pid: number, work: () => Promise<void>): Promise<Counts> {
  return parseCounts(await traceProcess(scope, pid, ['-c'], work));
}

/** Logs some system calls of a process during some work, one per line. */
export async function logCallsOf(
  scope: Scope,
  pid: number,
  calls: readonly string[],
  work: () => Promise<void>,
): Promise<readonly string[]> {
  return (await traceProcess(scope, pid, [`--trace=${calls.join(',')}`, '-s', '0'], work)).split('\n');
}

async function traceProcess(
  scope: Scope,
  pid: number,
  options: readonly string[],
  work: () => Promise<void>,
): Promise<string> {
  const output = path.join(temporaryDirectory(scope, 'cio-gate'), 'strace');
  const command = [STRACE, '-f', ...options, '-o', output, '-p', String(pid)];
  const [file = '', ...args] = command;
  const strace = spawn(file, args, { env: plainEnvironment(), stdio: ['ignore', 'ignore', 'pipe'] });
  scope.after(() => void strace.kill('SIGKILL'));
  const ended = once(strace, 'close');
  let said = '';
  await new Promise<void>((resolve, reject) => {
    strace.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes(' attached')) resolve();
    });
    strace.once('exit', () => reject(new Error(`strace does not trace process ${pid}: ${said}`)));
  });
  await work();
  strace.kill('SIGINT');
  await ended;
  return readFileSync(output, 'utf8');
}

/** Counts the files that a service opens from its start until it has printed a word, was asked to end and has ended. */
export async function countOpens(
  scope: Scope,
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  word: string,
): Promise<number> {
  const output = path.join(temporaryDirectory(scope, 'cio-gate'), 'strace');
  // With -D, strace is the child, so that the signal that ends the service reaches the service.
  const service = new Service(scope, [STRACE, '-D', '-f', '--trace=openat', '-o', output, '--', ...command], { env });
  await service.printed(word);
  await service.stop();
  const isTracedToItsEnd = new RegExp(`^${service.pid} +\\+\\+\\+ exited`, 'm');
  await eventually(() => isTracedToItsEnd.test(readFileSync(output, 'utf8')));
  const log = readFileSync(output, 'utf8');
  return log.split('\n').filter((line) => / = \d+$/.test(line)).length;
}

/** Parses the table of `strace -c`: share, seconds, µs per call, calls, errors if any, name. */
function parseCounts(table: string): Counts {
  const counts = new Map<string, number>();
  for (const line of table.split('\n')) {
    const [, calls, name] = /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$/.exec(line) ?? [];
    if (name !== undefined && name !== 'total') counts.set(name, Number(calls));
  }
  if (counts.size === 0) throw new Error('strace counted nothing');
  return counts;
}
