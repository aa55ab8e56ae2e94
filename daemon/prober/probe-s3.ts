import { setImmediate } from 'node:timers/promises';

import type { Finding, ProbeJob } from '../../src/validation.ts';
import { checkConnection } from './check-connection.ts';
import { checkS3Access, type S3Connection } from './check-s3-access.ts';
import type { HostServices } from './host-services.ts';
import { fetchAmazonKeys } from './identity/amazon.ts';
import { onlyFailuresAs } from './only-failures-as.ts';
import { probeObjects } from './probe-objects.ts';
import { S3Store, type MakeCalls } from './providers/s3-store.ts';
import { readS3Target, type S3Keys, type S3Target } from './providers/s3-target.ts';
import { readTarget } from './read-target.ts';
import { runChain } from './run-chain.ts';
import type { Steps } from './steps.ts';

/** The chain of checks for a set of an S3 provider. */
export async function* probeS3(job: ProbeJob, steps: Steps, hostServices: HostServices): AsyncGenerator<Finding, void> {
  const target = yield* readTarget(() => readS3Target(job));
  if (target === undefined) return;
  // The library is loaded while the prober waits for the name server.
  const makeCalls = setImmediate().then(() => callsOf(job.provider, target));
  makeCalls.catch(() => undefined);
  let { keys } = target;
  yield* runChain(job, steps, async function* (maker, wires) {
    const connect = async function* (target: S3Target): AsyncGenerator<Finding, S3Connection | undefined> {
      const wire = yield* checkConnection(target.endpoint, steps, hostServices.lookup);
      if (wire === undefined) return undefined;
      wires.push(wire);
      keys ??= yield* obtainKeys(hostServices, steps);
      if (keys === undefined) return undefined;
      const keyed = { ...target, keys };
      return { target: keyed, wire, store: new S3Store(keyed, wire, await makeCalls) };
    };
    const first = yield* connect(target);
    if (first === undefined) return;
    const connectToRegion = (region: string): ReturnType<typeof connect> =>
      onlyFailuresAs('region', connect(readS3Target(job, region)));
    const accessible = yield* checkS3Access(first, connectToRegion, maker, steps);
    if (accessible !== undefined) yield* probeObjects(job, accessible.store, accessible.canList, steps);
  });
}

/** Fetches the keys of the machine's identity, which is done only once there is a server to use them at. */
async function* obtainKeys({ metadata }: HostServices, steps: Steps): AsyncGenerator<Finding, S3Keys | undefined> {
  return (yield* steps.run('key', (signal) => fetchAmazonKeys(metadata, signal)))?.value;
}

/** Loads the library for a provider. MinIO's is not used for Amazon, since it would choose Amazon's host by itself. */
async function callsOf(provider: string, { isAmazon }: S3Target): Promise<MakeCalls> {
  if (provider === 'minio' && !isAmazon) return (await import('./providers/minio.ts')).makeMinioCalls;
  return (await import('./providers/s3.ts')).makeAwsCalls;
}
