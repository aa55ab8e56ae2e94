/** `npm run check`: all that a change must pass besides the slow tests. Every step is run, also after one that failed. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { CONCURRENCY } from './node-test.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

/** Real servers, real installs, whole processes by the dozen: `npm test` has them. */
const SLOW_TESTS = ['test/e2e/**', 'test/host/**', 'test/bench/**', 'test/bin/**', 'test/tools/bootstrap.test.ts'];

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
  nodeStep('tests', '--test', CONCURRENCY, '--test-reporter=spec', ...fastTests()),
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
  return fs.globSync('test/**/*.test.ts', { cwd: ROOT, exclude: SLOW_TESTS }).toSorted();
}

function run(step: Step): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const colour = process.stdout.isTTY ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' };
    const env = { ...process.env, ...colour };
    const child = spawn(step.command, step.args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
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
