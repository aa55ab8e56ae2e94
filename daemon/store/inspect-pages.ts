import { execFile } from 'node:child_process';
import type { ChildProcess, ExecFileException } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { StoreError } from './sealed-store.ts';

/** Far more than the largest accepted file takes on a slow disk. */
const TIME_MAX_MS = 600_000;

/** Far more than the few lines that the inspector prints. */
const OUTPUT_BYTES_MAX: number = 64 * 1024;

/** The program lies beside this file, in the sources as well as in the build. */
const PROGRAM: string = fileURLToPath(new URL(`page-inspector${extname(import.meta.url)}`, import.meta.url));

/** No compilation on other threads: the end of the process waits for it, now and then for ever (nodejs/node#54918). */
const FLAGS = ['--no-concurrent-recompilation', '--no-concurrent-sparkplug'];

const running = new Set<ChildProcess>();

/** The pages could not be checked, so nothing is known about them. */
export class NotInspectedError extends StoreError {
  /** Whether the process was killed or took too long after it had begun: a crafted file may be the reason. */
  readonly mayBeTheFile: boolean;

  constructor(options: ErrorOptions, why: string = 'cannot be started', mayBeTheFile = false) {
    super('io', `the process that checks the pages of the file ${why}`, options);
    this.name = 'NotInspectedError';
    this.mayBeTheFile = mayBeTheFile;
  }
}

/**
 * Kills all running inspectors, so that none outlives this process when it stops. The calls that wait for them reject
 * with {@link NotInspectedError}.
 */
export function endInspections(): void {
  // Of a process that could not be started, Node would kill the process 0: that is this one, and its whole group.
  for (const child of running) if (child.pid !== undefined) child.kill('SIGKILL');
  running.clear();
}

/**
 * Checks the pages of an SQLite file, its schema, and the sizes of its records, in another process (`page-inspector`),
 * which is killed when it takes too long.
 *
 * @returns the problems, in SQLite's words or ours; empty if there are none
 * @throws NotInspectedError if the process cannot be started, fails itself, is killed or takes too long, or was ended by
 *   {@link endInspections}
 */
export function inspectPages(path: string, bodyBytesMax: number, timeMaxMs: number = TIME_MAX_MS): Promise<string[]> {
  return new Promise((resolve, reject) => {
    let child: ChildProcess;
    const options = {
      cwd: '/',
      env: {},
      timeout: timeMaxMs,
      killSignal: 'SIGKILL',
      maxBuffer: OUTPUT_BYTES_MAX,
    } as const;
    const end = (error: ExecFileException | null, stdout: string): void => {
      const isEndedByUs = !running.delete(child);
      const [begun, ...found] = stdout.split('\n').filter((line) => line !== '');
      const fail = (why: string, mayBeTheFile = false): void =>
        reject(new NotInspectedError({ cause: error }, why, mayBeTheFile));
      if (error === null) resolve(found);
      else if (isEndedByUs) fail('was ended because this daemon is stopping');
      else if (child.killed) fail('took too long', true);
      else if (typeof error.signal === 'string') fail(`was killed (${error.signal})`, begun !== undefined);
      else fail(begun === undefined ? 'cannot be started' : 'failed');
    };
    try {
      child = execFile(process.execPath, [...FLAGS, PROGRAM, path, String(bodyBytesMax)], options, end);
    } catch (error) {
      // Node throws some errors of execve(2), and passes others to the callback.
      reject(new NotInspectedError({ cause: error }));
      return;
    }
    running.add(child);
  });
}
