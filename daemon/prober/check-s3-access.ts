import type { CheckId, Finding, Reason } from '../../src/validation.ts';
import { attempt, findingOfAttempt, type Attempt } from './attempt.ts';
import type { BucketMaker } from './bucket-maker.ts';
import { clockFinding } from './clock.ts';
import { findingOf, type ProbeFailure } from './failure.ts';
import type { Wire } from './network/wire.ts';
import type { S3Store } from './providers/s3-store.ts';
import type { KeyedS3Target, S3Target } from './providers/s3-target.ts';
import { skippedWithoutBucket } from './skipped-findings.ts';
import type { Steps } from './steps.ts';

/** A target with the connection and the store by which it is reached. */
export interface S3Connection {
  readonly target: KeyedS3Target;
  readonly wire: Wire;
  readonly store: S3Store;
}

/** Connects to the same bucket in another region, which may be on another host; returns undefined if that fails. */
export type ConnectToRegion = (region: string) => AsyncGenerator<Finding, S3Connection | undefined>;

/** A store that accepted the key. */
export interface AccessibleStore {
  readonly store: S3Store;
  readonly canList: boolean;
}

/** The check that fails when a list is refused for a reason; every other reason is a failure of `key`. */
const CHECKS_BY_REASON: Readonly<Partial<Record<Reason, CheckId>>> = {
  clock_skewed: 'clock',
  wrong_region: 'region',
  redirected: 'region',
  no_such_bucket: 'bucket',
  access_denied: 'list',
};

/**
 * Runs the checks from `clock` to `list` for a store that has regions, with one request, for a list of one name. A
 * refusal of that tells which check fails; a refusal of a HEAD request would not. Returns undefined if the chain cannot
 * go on, or if the set names no bucket.
 *
 * @param maker undefined if a missing bucket is not to be created
 */
export async function* checkS3Access(
  first: S3Connection,
  connectToRegion: ConnectToRegion,
  maker: BucketMaker | undefined,
  steps: Steps,
): AsyncGenerator<Finding, AccessibleStore | undefined> {
  let connection = first;
  let attempted = await tryKeys(first, steps);
  const clock = clockFinding(first.wire, attempted.failure);
  if (clock !== undefined) yield clock;
  if (clock?.state === 'failed') return undefined;

  const namedRegion = regionNamedIn(first.target, attempted.failure);
  if (namedRegion !== undefined) {
    const reconnected = yield* connectToRegion(namedRegion);
    if (reconnected === undefined) return undefined;
    connection = reconnected;
    attempted = await tryKeys(reconnected, steps);
  }
  const { failure, ms } = attempted;
  if (failure?.reason === 'no_such_bucket' && maker !== undefined)
    return yield* makeBucket(connection, namedRegion, maker, steps);
  if (failure !== undefined) return yield* reportRefusal(connection, failure, ms, steps);

  yield { check: 'key', state: 'passed' };
  if (connection.target.bucket === undefined) {
    yield regionFinding(connection.target, namedRegion, undefined);
    yield* skippedWithoutBucket();
    return undefined;
  }
  // If the region is known, there is no need to ask for the location of the bucket.
  const { isRegionGiven } = first.target;
  const located = isRegionGiven || namedRegion !== undefined ? undefined : await locate(connection, steps);
  yield regionFinding(connection.target, namedRegion, located);
  yield { check: 'bucket', state: 'passed' };
  yield { check: 'list', state: 'passed', ms };
  return { store: connection.store, canList: true };
}

/** Creates the bucket. Whether the keys may list it is not known yet, so the list is requested again. */
async function* makeBucket(
  connection: S3Connection,
  namedRegion: string | undefined,
  maker: BucketMaker,
  steps: Steps,
): AsyncGenerator<Finding, AccessibleStore | undefined> {
  yield { check: 'key', state: 'passed' };
  yield regionFinding(connection.target, namedRegion, undefined);
  const exists = yield* maker.make(connection.store);
  if (!exists) return undefined;
  const attempted = await tryKeys(connection, steps);
  yield findingOfAttempt('list', attempted);
  return { store: connection.store, canList: attempted.failure === undefined };
}

/** The region that the server named. As in restic, it counts only if the set names none. */
function regionNamedIn({ isRegionGiven }: S3Target, failure: ProbeFailure | undefined): string | undefined {
  return isRegionGiven || failure?.reason !== 'wrong_region' ? undefined : failure.detail.subject;
}

/** Reports the check that a refused list belongs to. The chain goes on only if the list alone is denied to the keys. */
async function* reportRefusal(
  connection: S3Connection,
  failure: ProbeFailure,
  ms: number,
  steps: Steps,
): AsyncGenerator<Finding, AccessibleStore | undefined> {
  const { target, store } = connection;
  const { reason, detail } = failure;
  const failedCheck = CHECKS_BY_REASON[reason] ?? 'key';
  if (failedCheck !== 'list') {
    if (failedCheck === 'bucket') yield { check: 'key', state: 'passed' };
    yield { ...findingOf(failedCheck, 'failed', reason, detail), ms };
    return undefined;
  }
  const located = target.bucket === undefined ? { failure, ms } : await locate(connection, steps);
  if (located.failure !== undefined) {
    yield* reportFullRefusal(connection, failure, steps);
    return undefined;
  }
  yield { check: 'key', state: 'passed' };
  yield regionFinding(target, undefined, located);
  yield { check: 'bucket', state: 'passed' };
  yield { ...findingOf('list', 'failed', reason, detail), ms };
  return { store, canList: false };
}

/**
 * Reports the refusal where the location of the bucket is refused like the list. To tell bad keys from missing rights,
 * the server is asked once with a wrong secret.
 */
async function* reportFullRefusal(
  { target, store }: S3Connection,
  { reason, detail }: ProbeFailure,
  steps: Steps,
): AsyncGenerator<Finding> {
  const recognized = await attempt(() => store.recognizesWrongSecret(steps.signal));
  if (recognized.failure !== undefined) {
    yield findingOfAttempt('key', recognized);
    return;
  }
  if (recognized.value) {
    yield { check: 'key', state: 'passed' };
    if (target.bucket === undefined) {
      yield regionFinding(target, undefined, undefined);
      yield* skippedWithoutBucket();
      return;
    }
    // Most likely the bucket belongs to another account.
    const subject = `${detail.subject ?? 'it'} on ${target.bucket}`;
    yield findingOf('bucket', 'failed', reason, { field: 'backup_repo', subject });
    return;
  }
  // A server that answers a wrong secret in the same way (RGW with STS) may mean that the keys are wrong, or that the
  // session token has expired.
  const field = target.keys.sessionToken === undefined ? 'secret_key' : 'session_token';
  yield findingOf('key', 'failed', 'key_rejected', { field });
}

function regionFinding(
  { region }: S3Target,
  namedRegion: string | undefined,
  located: Pick<Attempt<void>, 'failure' | 'ms'> | undefined,
): Finding {
  if (namedRegion !== undefined)
    return findingOf('region', 'warning', 'wrong_region', { field: 'region', subject: namedRegion });
  if (located?.failure === undefined) {
    return { check: 'region', state: 'passed', subject: region, ...(located === undefined ? {} : { ms: located.ms }) };
  }
  const { reason, detail } = located.failure;
  return { ...findingOf('region', 'warning', reason, { field: 'region', ...detail }), ms: located.ms };
}

function tryKeys({ store }: S3Connection, { signal }: Steps): Promise<Attempt<void>> {
  return attempt(() => store.tryKeys(signal));
}

function locate({ store }: S3Connection, { signal }: Steps): Promise<Attempt<void>> {
  return attempt(() => store.locate(signal));
}
