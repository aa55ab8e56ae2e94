/** `npm run check`: the checks before all tests are run. Every step is run, even after one that failed. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { CONCURRENCY } from './node-test.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

/** Tests that need no process, no socket and no slow key derivation. `npm test` runs all tests. */
const FAST_TESTS = ['test/src/**/*.test.ts', 'test/daemon/{access,store}/**/*.test.ts', 'test/support/*.test.ts'];

/**
 * The time-out for a step that hangs: many times what a step takes on a busy machine, since it proves nothing about
 * speed. On SIGINT, the test runner reports the file that it waits for.
 */
const LIMIT = { timeout: 900_000, killSignal: 'SIGINT' } as const;

interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Why the step cannot be run here; undefined if it can. */
  readonly skipped?: string | undefined;
  /**
   * Extracts problems from the output of the command. Without it, the exit code decides, and the whole output is shown.
   */
  readonly findings?: (output: string) => readonly string[];
}

const steps: readonly Step[] = [
  nodeStep('format', 'node_modules/oxfmt/bin/oxfmt', '--check'),
  nodeStep('lint', 'node_modules/oxlint/bin/oxlint', '--type-aware', '--deny-warnings'),
  nodeStep('types', 'node_modules/typescript/bin/tsc', '-b'),
  nodeStep('protocol', 'tools/generate-protocol.ts', '--check'),
  unitsStep(),
  nodeStep('tests', '--test', CONCURRENCY, '--test-reporter=dot', ...fastTests()),
];

const failed: string[] = [];
for (const step of steps) {
  if (step.skipped !== undefined) {
    report(`- ${step.name}: skipped, ${step.skipped}`);
    continue;
  }
  const startedMs = performance.now();
  const { code, output } = await run(step);
  const tookMs = performance.now() - startedMs;
  const late = tookMs < LIMIT.timeout ? [] : [`ended after ${LIMIT.timeout / 1000} s, as it seemed to hang`];
  const findings = [...(step.findings?.(output) ?? (code === 0 ? [] : [output])), ...late];
  const seconds = (tookMs / 1000).toFixed(1);
  if (findings.length === 0) {
    report(`✔ ${step.name} ${seconds} s`);
  } else {
    failed.push(step.name);
    report(`✖ ${step.name} ${seconds} s\n${findings.join('\n')}`);
  }
}
if (failed.length > 0) {
  report(`\nFailed: ${failed.join(', ')}`);
  process.exitCode = 1;
}

function nodeStep(name: string, ...args: string[]): Step {
  return { name, command: process.execPath, args };
}

function unitsStep(): Step {
  const units = fs.globSync('systemd/**/*.{service,slice,socket,target,timer}', { cwd: ROOT });
  const hasTool = fs.existsSync('/usr/bin/systemd-analyze');
  const skipped = units.length === 0 ? 'there are no units' : hasTool ? undefined : 'systemd-analyze is not installed';
  const names = units.map((unit) => path.basename(unit));
  // systemd-analyze also reports the host's own units and programs that are not installed here, and exits with 0 for an
  // unknown directive. So its output decides.
  const findings = (output: string): string[] =>
    output
      .split('\n')
      .filter(
        (line) => names.some((name) => line.includes(name)) && !line.includes(' is not executable: No such file'),
      );
  return { name: 'units', command: 'systemd-analyze', args: ['verify', '--man=no', ...units], skipped, findings };
}

function fastTests(): string[] {
  return fs.globSync(FAST_TESTS, { cwd: ROOT }).toSorted();
}

function run(step: Step): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const colour = process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' };
    const env = { ...process.env, ...colour, LC_ALL: 'C.UTF-8' };
    const child = spawn(step.command, step.args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'], ...LIMIT });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString() }));
  });
}

function report(text: string): void {
  process.stdout.write(`${text}\n`);
}
