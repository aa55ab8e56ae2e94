/** `npm run check`: what a change must pass before all tests are run. Every step is run, also after one that failed. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { CONCURRENCY } from './node-test.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

/** Tests of parts that need no process and no socket; `npm test` runs all. */
const FAST_TESTS = ['test/src/**/*.test.ts', 'test/daemon/{access,store,vault}/**/*.test.ts', 'test/support/*.test.ts'];

/** For a step that hangs. The test runner, when it is interrupted, says which file it waited for. */
const LIMIT = { timeout: 180_000, killSignal: 'SIGINT' } as const;

interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Why it cannot be done here, where it cannot. */
  readonly skipped?: string | undefined;
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
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  if (code === 0) {
    report(`✔ ${step.name} ${seconds} s`);
  } else {
    failed.push(step.name);
    report(`✖ ${step.name} ${seconds} s\n${output}`);
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
  const units = fs.globSync('systemd/**/*.{service,socket,target}', { cwd: ROOT });
  const hasTool = fs.existsSync('/usr/bin/systemd-analyze');
  const skipped = units.length === 0 ? 'there are no units' : hasTool ? undefined : 'systemd-analyze is not installed';
  return { name: 'units', command: 'systemd-analyze', args: ['verify', ...units], skipped };
}

function fastTests(): string[] {
  return fs.globSync(FAST_TESTS, { cwd: ROOT }).toSorted();
}

function run(step: Step): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const colour = process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' };
    const env = { ...process.env, ...colour };
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
