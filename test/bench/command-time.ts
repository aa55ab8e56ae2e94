import { spawnSync } from 'node:child_process';

/**
 * Runs a command as a whole process, and returns its duration in ms.
 *
 * @param expected the required output, if any
 * @throws Error if it fails, or prints something else
 */
export function timeOf(
  command: readonly string[],
  env: Readonly<Record<string, string>>,
  expected?: string,
  input?: string,
): number {
  const [file = '', ...args] = command;
  const startedMs = performance.now();
  const { status, stdout, stderr } = spawnSync(file, args, { env, input: input ?? '', stdio: 'pipe' });
  const ms = performance.now() - startedMs;
  if (status !== 0) throw new Error(`${command.join(' ')} ended with ${String(status)}: ${stderr.toString()}`);
  if (expected !== undefined && stdout.toString() !== expected)
    throw new Error(`${command.join(' ')} gave another value`);
  return ms;
}
