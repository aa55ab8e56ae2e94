import { availableParallelism } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { BenchScope } from '../../bench/bench-scope.ts';
import type { Files, Look, Sample } from './sample.ts';

/** Limit of workers, as each takes some 200 MB. */
const WORKERS_MAX = 8;

/** One bit of one byte of a file. */
export interface Flip {
  readonly offset: number;
  readonly bit: number;
}

/** The input of a worker. */
export interface Share {
  /** The directory of a {@link Sample}. */
  readonly directory: string;
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** The one of these files in which bits are flipped, one at a time. */
  readonly name: string;
  readonly flips: readonly Flip[];
}

/** A worker's report about one flip. */
export interface Seen {
  readonly flip: Flip;
  readonly look: Look;
}

/**
 * Flips bits of a file, one at a time, and looks at what is left each time. Uses all processors, as there may be many
 * flips.
 */
export async function lookAtFlips(
  sample: Sample,
  files: Files,
  name: string,
  flips: readonly Flip[],
  onSeen: (seen: Seen) => void,
): Promise<void> {
  await using scope = new BenchScope();
  const count = Math.min(availableParallelism(), WORKERS_MAX);
  const shares = Array.from({ length: count }, (_, first) => flips.filter((_flip, index) => index % count === first));
  const work = async (share: Share): Promise<void> => {
    const worker = new Worker(path.join(import.meta.dirname, 'flips-worker.ts'), { workerData: share });
    scope.after(async () => void (await worker.terminate()));
    let seen = 0;
    worker.on('message', (one: Seen) => {
      seen += 1;
      onSeen(one);
    });
    await new Promise((resolve, reject) => worker.once('error', reject).once('exit', resolve));
    if (seen < share.flips.length) throw new Error(`a worker ended after ${seen} of ${share.flips.length} flips`);
  };
  await Promise.all(shares.map((share) => work({ directory: sample.directory, files, name, flips: share })));
}
