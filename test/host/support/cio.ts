import assert from 'node:assert/strict';
import type { Machine, RunOptions } from './machine.ts';

/** The command as the package installs it; PATH has it, as everybody's. */
const CIO = 'cio';

export interface CioResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stdoutBytes: Buffer;
  readonly stderr: string;
}

/** Runs `cio credential ARGS` in the machine to its end. */
export async function cio(machine: Machine, args: readonly string[], options: RunOptions = {}): Promise<CioResult> {
  const { code, stdout, stderr } = await machine.run([CIO, 'credential', ...args], options);
  return { code, stdout: stdout.toString(), stdoutBytes: stdout, stderr };
}

/** The same, where it must succeed: its standard output. */
export async function cioSucceeds(
  machine: Machine,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await cio(machine, args, options);
  assert.equal(code, 0, `cio credential ${args.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

/** Stores a value, new or in place of another one. */
export async function save(machine: Machine, name: string, value: string | Uint8Array): Promise<void> {
  await cioSucceeds(machine, ['create', name, '--replace', '--keep-newline'], { input: value });
}

/** Lets units read a credential or a set. */
export async function grant(machine: Machine, target: string, ...args: readonly string[]): Promise<void> {
  await cioSucceeds(machine, ['grant', target, ...args]);
}

/** How many starts of units wait for a credential. */
export async function waiting(machine: Machine): Promise<number | undefined> {
  const { code, stdout } = await cio(machine, ['status', '--json']);
  return code === 0 ? (JSON.parse(stdout) as { waiting?: number }).waiting : undefined;
}

/** Resolves once that many starts of units wait. */
export async function untilWaiting(machine: Machine, count: number): Promise<void> {
  await machine.until(async () => (await waiting(machine)) === count || undefined, 20_000);
}
