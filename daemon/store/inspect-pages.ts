import { execFile } from 'node:child_process';
import type { ChildProcess, ExecFileException } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { StoreError } from './sealed-store.ts';

/** Far more than the largest file takes that is accepted, from a slow disk. */
const TIME_MAX_MS = 600_000;

/** Far more than the few lines that are printed. */
const OUTPUT_BYTES_MAX: number = 64 * 1024;

/** Beside this file, among the sources as in what is built. */
const PROGRAM: string = fileURLToPath(new URL(`page-inspector${extname(import.meta.url)}`, import.meta.url));

/** Nothing is compiled beside it: its end would wait for that, now and then without end (nodejs/node#54918). */
const FLAGS = ['--no-concurrent-recompilation', '--no-concurrent-sparkplug'];

const running = new Set<ChildProcess>();

/** Nobody looked at the pages, so nothing is known of them. */
export class NotInspectedError extends StoreError {
  constructor(options: ErrorOptions, why: string = 'cannot be started') {
    super('io', `the process that checks the pages of the file ${why}`, options);
    this.name = 'NotInspectedError';
  }
}

/** Ends those that look now, for a process that stops: none of them is to outlive it. Who asked them is told that nobody looked. */
export function endInspections(): void {
  for (const child of running) child.kill('SIGKILL');
  running.clear();
}

/**
 * What is wrong with the pages of an SQLite file, with its schema, or with the sizes in its records, in SQLite's words or
 * ours; empty where nothing is. Another process looks, see there; one that does not come to an end is ended.
 *
 * @throws NotInspectedError where it cannot be started, or {@link endInspections} ended it
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
      if (error === null) resolve(found);
      else if (isEndedByUs) reject(new NotInspectedError({ cause: error }, 'was ended, as this daemon stops'));
      // Of what ends it, or has it go on for ever, no more is known than that it does. One that ends by itself before it begins
      // (for want of memory or descriptors, say) has seen nothing of the file.
      else if (typeof error.signal === 'string' && (begun !== undefined || child.killed)) {
        resolve(['the check of the pages did not come to its end']);
      } else reject(new NotInspectedError({ cause: error }));
    };
    try {
      child = execFile(process.execPath, [...FLAGS, PROGRAM, path, String(bodyBytesMax)], options, end);
    } catch (error) {
      // Some errors of execve(2) are thrown, others told.
      reject(new NotInspectedError({ cause: error }));
      return;
    }
    running.add(child);
  });
}
