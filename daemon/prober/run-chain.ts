import type { Finding, ProbeJob } from '../../src/validation.ts';
import { BucketMaker } from './bucket-maker.ts';
import type { Wire } from './network/wire.ts';
import type { Steps } from './steps.ts';

/**
 * What a provider's chain is given.
 *
 * @param maker undefined where a bucket that is not there is to stay so
 * @param wires every wire that is to be closed when the chain has ended
 */
export type Chain = (maker: BucketMaker | undefined, wires: Wire[]) => AsyncGenerator<Finding, void>;

/** Runs the chain of a set; whatever becomes of it, its connections are closed, and a bucket that it made stays only where it is good. */
export async function* runChain(job: ProbeJob, steps: Steps, chain: Chain): AsyncGenerator<Finding, void> {
  const maker = new BucketMaker(steps);
  const wires: Wire[] = [];
  const isMaking = job.makeBucket && !job.restoreOnly;
  try {
    yield* maker.keepIfGood(chain(isMaking ? maker : undefined, wires));
  } finally {
    for (const wire of wires) wire.close();
  }
}
