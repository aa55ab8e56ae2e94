import { setImmediate } from 'node:timers/promises';

import type { Finding, ProbeJob } from '../../src/validation.ts';
import { asFailureOf } from './as-failure-of.ts';
import { enterS3, type Entrance } from './enter-s3.ts';
import { fetchAmazonKeys } from './identity/amazon.ts';
import { probeObjects } from './probe-objects.ts';
import { S3Store, type MakeCalls } from './providers/s3-store.ts';
import { readS3Target, type S3Keys, type S3Target } from './providers/s3-target.ts';
import { reach } from './reach.ts';
import { readTarget } from './read-target.ts';
import { runChain } from './run-chain.ts';
import type { Steps } from './steps.ts';
import type { Surroundings } from './surroundings.ts';

/** The chain of checks for a set of an S3 provider. */
export async function* probeS3(job: ProbeJob, steps: Steps, surroundings: Surroundings): AsyncGenerator<Finding, void> {
  const target = yield* readTarget(() => readS3Target(job));
  if (target === undefined) return;
  // The library is loaded while the prober waits for the name server.
  const makeCalls = setImmediate().then(() => callsOf(job.provider, target));
  makeCalls.catch(() => undefined);
  let { keys } = target;
  yield* runChain(job, steps, async function* (maker, wires) {
    const go = async function* (target: S3Target): AsyncGenerator<Finding, Entrance | undefined> {
      const wire = yield* reach(target.endpoint, steps, surroundings.lookup);
      if (wire === undefined) return undefined;
      wires.push(wire);
      keys ??= yield* takeKeys(surroundings, steps);
      if (keys === undefined) return undefined;
      const keyed = { ...target, keys };
      return { target: keyed, wire, store: new S3Store(keyed, wire, await makeCalls) };
    };
    const first = yield* go(target);
    if (first === undefined) return;
    const move = (region: string): ReturnType<typeof go> => asFailureOf('region', go(readS3Target(job, region)));
    const entered = yield* enterS3(first, move, maker, steps);
    if (entered !== undefined) yield* probeObjects(job, entered.store, entered.canList, steps);
  });
}

/** Fetches the keys of the machine's identity, which is done only once there is a server to use them at. */
async function* takeKeys({ metadata }: Surroundings, steps: Steps): AsyncGenerator<Finding, S3Keys | undefined> {
  return (yield* steps.run('key', (signal) => fetchAmazonKeys(metadata, signal)))?.value;
}

/** Loads the library for a provider. MinIO's is not used for Amazon, since it would choose Amazon's host by itself. */
async function callsOf(provider: string, { isAmazon }: S3Target): Promise<MakeCalls> {
  if (provider === 'minio' && !isAmazon) return (await import('./providers/minio.ts')).makeMinioCalls;
  return (await import('./providers/s3.ts')).makeAwsCalls;
}
