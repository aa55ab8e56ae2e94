import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { prepareTestEnvironment } from './test-environment.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

/** Longer than any test takes. A test that hangs is reported by name instead of blocking all others. */
const TEST_TIMEOUT_MS = 300_000;

/**
 * Longer than all tests take, which is an hour on one processor that others keep busy. If the process of a file does
 * not exit after its tests, only the runner knows which file that is.
 */
const RUN_TIMEOUT_MS = 3 * 3_600_000;

/** The number of files that run at the same time: many wait for processes and servers more than they compute. */
export const CONCURRENCY: string = `--test-concurrency=${Math.max(2, os.availableParallelism())}`;

const EXIT_USAGE = 2;

/** How a run of tests ended. */
export interface TestRun {
  readonly code: number;
  /** The name of every skipped test, with the reason. */
  readonly skipped: readonly string[];
}

/** Runs Node's test runner with files, patterns and options for it. Its report goes to standard output. */
export async function runTests(args: readonly string[]): Promise<TestRun> {
  const problem = prepareTestEnvironment();
  if (problem !== undefined) {
    process.stderr.write(`${problem}\n`);
    return { code: EXIT_USAGE, skipped: [] };
  }
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'cio-test-run-'));
  const skipsFile = path.join(directory, 'skips');
  try {
    const child = spawn(
      process.execPath,
      [
        '--test',
        CONCURRENCY,
        `--test-timeout=${TEST_TIMEOUT_MS}`,
        '--test-reporter=spec',
        '--test-reporter-destination=stdout',
        `--test-reporter=${path.join(import.meta.dirname, 'skips-reporter.mjs')}`,
        `--test-reporter-destination=${skipsFile}`,
        ...args,
      ],
      // On SIGINT, the runner ends the processes of its files and reports the ones that it waited for.
      {
        cwd: ROOT,
        env: { ...process.env, LC_ALL: 'C.UTF-8' },
        stdio: 'inherit',
        timeout: RUN_TIMEOUT_MS,
        killSignal: 'SIGINT',
      },
    );
    // The runner gets the same signal, ends its tests and reports the interrupted ones, so this process keeps waiting.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject).once('exit', (exitCode) => resolve(exitCode ?? 1));
    });
    const report = fs.existsSync(skipsFile) ? fs.readFileSync(skipsFile, 'utf8') : '';
    return { code, skipped: report.split('\n').filter((line) => line !== '') };
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}
