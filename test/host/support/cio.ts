import assert from 'node:assert/strict';
import type { Machine, RunOptions } from './machine.ts';

/** The command as the package installs it, in every user's PATH. */
const CIO = 'cio';

export interface CioResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stdoutBytes: Buffer;
  readonly stderr: string;
}

/** Runs `cio credential ARGS` in the machine and waits for it to end. */
export async function cio(machine: Machine, args: readonly string[], options: RunOptions = {}): Promise<CioResult> {
  const { code, stdout, stderr } = await machine.run([CIO, 'credential', ...args], options);
  return { code, stdout: stdout.toString(), stdoutBytes: stdout, stderr };
}

/** Runs a `cio credential` command that must succeed; returns its standard output. */
export async function cioSucceeds(
  machine: Machine,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await cio(machine, args, options);
  assert.equal(code, 0, `cio credential ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

/** Stores a value, in place of the present one if there is one. */
export async function save(machine: Machine, name: string, value: string | Uint8Array): Promise<void> {
  await cioSucceeds(machine, ['create', name, '--replace', '--keep-newline'], { input: value });
}

/** Grants units the right to read a credential or a set. */
export async function grant(machine: Machine, target: string, ...args: readonly string[]): Promise<void> {
  await cioSucceeds(machine, ['grant', target, ...args]);
}

/** Returns how many unit starts wait for a credential, or undefined if the daemon does not answer. */
export async function waiting(machine: Machine): Promise<number | undefined> {
  const { code, stdout } = await cio(machine, ['status', '--json']);
  return code === 0 ? (JSON.parse(stdout) as { waiting?: number }).waiting : undefined;
}

/** Resolves once that many unit starts wait. */
export async function untilWaiting(machine: Machine, count: number): Promise<void> {
  await machine.until(async () => (await waiting(machine)) === count || undefined, 20_000);
}
