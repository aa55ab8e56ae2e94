import { execFile } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

import { StoreError } from './sealed-store.ts';

/** Far more than the largest file takes that is accepted, from a slow disk. */
const TIME_MAX_MS = 600_000;

/** Far more than the few lines that are printed. */
const OUTPUT_BYTES_MAX: number = 64 * 1024;

/** Beside this file, among the sources as in what is built. */
const PROGRAM: string = fileURLToPath(new URL(`page-inspector${extname(import.meta.url)}`, import.meta.url));

const running = new Set<ChildProcess>();

/** Nobody looked at the pages, so nothing is known of them. */
export class NotInspectedError extends StoreError {
  constructor(options: ErrorOptions) {
    super('io', 'the process that checks the pages of the file cannot be started', options);
    this.name = 'NotInspectedError';
  }
}

/** Ends those that look now, for a process that stops: none of them is to outlive it. What they looked at is not good then. */
export function endInspections(): void {
  for (const child of running) child.kill('SIGKILL');
}

/**
 * What is wrong with the pages of an SQLite file, with its schema, or with the sizes in its records, in SQLite's words or
 * ours; empty where nothing is. Another process looks, see there; one that does not come to an end is ended.
 *
 * @throws NotInspectedError where it cannot be started
 */
export function inspectPages(path: string, bodyBytesMax: number, timeMaxMs: number = TIME_MAX_MS): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.execPath,
      [PROGRAM, path, String(bodyBytesMax)],
      { cwd: '/', env: {}, timeout: timeMaxMs, killSignal: 'SIGKILL', maxBuffer: OUTPUT_BYTES_MAX },
      (error, stdout) => {
        running.delete(child);
        if (error === null) resolve(stdout.split('\n').filter((line) => line !== ''));
        // Of what ends it, or has it go on for ever, no more is known than that it does.
        else if (typeof error.signal === 'string') resolve(['the check of the pages did not come to its end']);
        else reject(new NotInspectedError({ cause: error }));
      },
    );
    running.add(child);
  });
}
