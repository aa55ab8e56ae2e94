import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { settleSurroundings } from './surroundings.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');

/** Longer than any test takes; a test that hangs is reported by name instead of holding up all. */
const TEST_TIMEOUT_MS = 300_000;

/** Longer than all tests take, also on a slow machine. A file whose tests are done but which does not end is known to the runner only. */
const RUN_TIMEOUT_MS = 3_600_000;

/** Files at the same time: many of them wait for processes and servers more than they compute. */
export const CONCURRENCY: string = `--test-concurrency=${Math.max(2, os.availableParallelism())}`;

const EXIT_USAGE = 2;

/** How a run of tests ended. */
export interface TestRun {
  readonly code: number;
  /** Name and reason of every skipped test. */
  readonly skipped: readonly string[];
}

/** Runs node's test runner over files, patterns and options of its own, with its report on standard output. */
export async function runTests(args: readonly string[]): Promise<TestRun> {
  const unfit = settleSurroundings();
  if (unfit !== undefined) {
    process.stderr.write(`${unfit}\n`);
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
      // Interrupted, the runner ends its files and says which ones it waited for.
      {
        cwd: ROOT,
        env: { ...process.env, LC_ALL: 'C.UTF-8' },
        stdio: 'inherit',
        timeout: RUN_TIMEOUT_MS,
        killSignal: 'SIGINT',
      },
    );
    // The runner gets the same signal, ends its tests and says which ones it interrupted.
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
