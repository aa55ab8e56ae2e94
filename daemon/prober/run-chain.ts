import type { Finding, ProbeJob } from '../../src/validation.ts';
import { BucketMaker } from './bucket-maker.ts';
import type { Wire } from './network/wire.ts';
import type { Steps } from './steps.ts';

/**
 * The chain of checks of one provider.
 *
 * @param maker undefined if a missing bucket is not to be created
 * @param wires to which the chain adds every wire that is to be closed when the chain has ended
 */
export type Chain = (maker: BucketMaker | undefined, wires: Wire[]) => AsyncGenerator<Finding, void>;

/**
 * Runs the chain of checks for a set. However it ends, its connections are closed, and a bucket that it created is kept
 * only if no check failed.
 */
export async function* runChain(job: ProbeJob, steps: Steps, chain: Chain): AsyncGenerator<Finding, void> {
  const maker = new BucketMaker(steps);
  const wires: Wire[] = [];
  const canMakeBucket = job.makeBucket && !job.restoreOnly;
  try {
    yield* maker.removeUnlessPassed(chain(canMakeBucket ? maker : undefined, wires));
  } finally {
    for (const wire of wires) wire.close();
  }
}
