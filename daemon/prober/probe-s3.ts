import { setImmediate } from 'node:timers/promises';

import type { Finding, ProbeJob } from '../../src/validation.ts';
import { asFailureOf } from './as-failure-of.ts';
import { enter, type Entrance } from './entrance.ts';
import { findingOf, ProbeFailure } from './failure.ts';
import type { Lookup } from './network/resolve.ts';
import type { Wire } from './network/wire.ts';
import { probeObjects } from './probe-objects.ts';
import { S3Store, type MakeCalls } from './providers/s3-store.ts';
import { readS3Target, type S3Target } from './providers/s3-target.ts';
import { reach } from './reach.ts';
import type { Steps } from './steps.ts';

/** The chain of a set that speaks S3. */
export async function* probeS3(job: ProbeJob, steps: Steps, lookup: Lookup): AsyncGenerator<Finding, void> {
  const target = readTarget(job);
  if (target instanceof ProbeFailure) {
    yield findingOf('shape', 'failed', target.reason, target.detail);
    return;
  }
  // Loaded while the name server is waited for.
  const makeCalls = setImmediate().then(() => callsOf(job.provider, target));
  makeCalls.catch(() => undefined);
  const wires: Wire[] = [];
  const go = async function* (target: S3Target): AsyncGenerator<Finding, Entrance | undefined> {
    const wire = yield* reach(target.endpoint, steps, lookup);
    if (wire === undefined) return undefined;
    wires.push(wire);
    return { target, wire, store: new S3Store(target, wire, await makeCalls) };
  };
  try {
    const first = yield* go(target);
    if (first === undefined) return;
    const move = (region: string): ReturnType<typeof go> => asFailureOf('region', go(readS3Target(job, region)));
    const entered = yield* enter(first, move, steps);
    if (entered !== undefined) yield* probeObjects(job, entered.store, entered.canList, steps);
  } finally {
    for (const wire of wires) wire.close();
  }
}

function readTarget(job: ProbeJob): S3Target | ProbeFailure {
  try {
    return readS3Target(job);
  } catch (error) {
    if (error instanceof ProbeFailure) return error;
    throw error;
  }
}

/** MinIO's library would choose the hosts of Amazon by itself. */
async function callsOf(provider: string, { isAmazon }: S3Target): Promise<MakeCalls> {
  if (provider === 'minio' && !isAmazon) return (await import('./providers/minio.ts')).makeMinioCalls;
  return (await import('./providers/s3.ts')).makeAwsCalls;
}
