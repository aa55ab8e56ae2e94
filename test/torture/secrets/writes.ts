import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Canaries } from '../../support/canary.ts';
import { Service } from '../../support/process.ts';
import type { Scope } from '../../support/scope.ts';
import { readWrites, TRACE_FORMAT } from '../power/trace.ts';

/** The system calls that write to files, in any thread. */
const SYSTEM_CALLS = 'write,writev,pwrite64,pwritev,pwritev2';

/**
 * Records what a process writes to files: one that is removed at once is found by no search, but has been on the disk.
 */
export class Writes {
  readonly #tracer: Service;
  readonly #output: string;

  private constructor(tracer: Service, output: string) {
    this.#tracer = tracer;
    this.#output = output;
  }

  /** @param directory the folder of the trace, which contains the secrets */
  static async watch(scope: Scope, pid: number, directory: string): Promise<Writes> {
    const output = path.join(directory, 'writes');
    const command = ['strace', '-ff', ...TRACE_FORMAT, '-o', output, '-p', `${pid}`, `--trace=${SYSTEM_CALLS}`];
    const tracer = new Service(scope, command);
    await tracer.printed('attached');
    return new Writes(tracer, output);
  }

  /** Returns the number of writes, and which secrets were written to which file. */
  async end(planted: Canaries): Promise<{ readonly count: number; readonly sightings: readonly string[] }> {
    this.#tracer.signal('SIGINT');
    await this.#tracer.exited;
    const folder = path.dirname(this.#output);
    const writes = readdirSync(folder)
      .filter((name) => name.startsWith(`${path.basename(this.#output)}.`))
      .flatMap((name) => readWrites(readFileSync(path.join(folder, name), 'latin1')))
      .filter(({ target }) => target.startsWith('/'));
    const sightings = writes.flatMap(({ target, data }) =>
      planted.findIn(target, data).map(({ secret, form, where }) => `${secret} (${form}) was written to ${where}`),
    );
    return { count: writes.length, sightings };
  }
}
