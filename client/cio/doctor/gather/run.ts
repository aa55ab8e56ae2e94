import { spawnSync } from 'node:child_process';
import type { Seen } from '../verdict.ts';
import { codeOf } from './files.ts';

const TIMEOUT_MS = 2000;
const OUTPUT_BYTES_MAX: number = 1024 * 1024;

/** Runs a command that changes nothing, with a time-out, and returns its standard output. */
export function ask(command: string, args: readonly string[]): Seen<string> {
  const { status, stdout, error } = spawnSync(command, [...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
    maxBuffer: OUTPUT_BYTES_MAX,
    env: { ...process.env, LC_ALL: 'C', SYSTEMD_PAGER: '', SYSTEMD_COLORS: '0' },
  });
  const code = error === undefined ? undefined : codeOf(error);
  if (code === 'ENOENT') return { unseen: `there is no command ${command}` };
  if (code === 'ETIMEDOUT') return { unseen: `${command} did not answer within ${TIMEOUT_MS / 1000} s` };
  if (error !== undefined) return { unseen: `${command} cannot be run (${code})` };
  return status === 0 ? { value: stdout } : { unseen: `${command} ${args[0] ?? ''} failed` };
}

/** Parses lines of `NAME=VALUE`; other lines are ignored. */
export function parseProperties(text: string): ReadonlyMap<string, string> {
  const lines = text.split('\n').filter((line) => line.includes('='));
  return new Map(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}
