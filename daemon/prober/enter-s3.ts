import type { CheckId, Finding, Reason } from '../../src/validation.ts';
import { attempt, findingOfAttempt, type Attempt } from './attempt.ts';
import type { BucketMaker } from './bucket-maker.ts';
import { clockFinding } from './clock.ts';
import { findingOf, type ProbeFailure } from './failure.ts';
import type { Wire } from './network/wire.ts';
import type { S3Store } from './providers/s3-store.ts';
import type { KeyedS3Target, S3Target } from './providers/s3-target.ts';
import type { Steps } from './steps.ts';
import { withoutBucket } from './without.ts';

/** A target with the connection and the store by which it is reached. */
export interface Entrance {
  readonly target: KeyedS3Target;
  readonly wire: Wire;
  readonly store: S3Store;
}

/** Connects to the same bucket in another region, which may be on another host; returns undefined if that fails. */
export type Move = (region: string) => AsyncGenerator<Finding, Entrance | undefined>;

/** A store that accepted the key. */
export interface Entered {
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
export async function* enterS3(
  first: Entrance,
  move: Move,
  maker: BucketMaker | undefined,
  steps: Steps,
): AsyncGenerator<Finding, Entered | undefined> {
  let entrance = first;
  let knocked = await knock(first, steps);
  const clock = clockFinding(first.wire, knocked.failure);
  if (clock !== undefined) yield clock;
  if (clock?.state === 'failed') return undefined;

  const told = regionTold(first.target, knocked.failure);
  if (told !== undefined) {
    const moved = yield* move(told);
    if (moved === undefined) return undefined;
    entrance = moved;
    knocked = await knock(moved, steps);
  }
  const { failure, ms } = knocked;
  if (failure?.reason === 'no_such_bucket' && maker !== undefined) return yield* make(entrance, told, maker, steps);
  if (failure !== undefined) return yield* refuse(entrance, failure, ms, steps);

  yield { check: 'key', state: 'passed' };
  if (entrance.target.bucket === undefined) {
    yield regionFinding(entrance.target, told, undefined);
    yield* withoutBucket();
    return undefined;
  }
  // If the region is known, there is no need to ask for the location of the bucket.
  const { isRegionGiven } = first.target;
  const located = isRegionGiven || told !== undefined ? undefined : await locate(entrance, steps);
  yield regionFinding(entrance.target, told, located);
  yield { check: 'bucket', state: 'passed' };
  yield { check: 'list', state: 'passed', ms };
  return { store: entrance.store, canList: true };
}

/** Creates the bucket. Whether the keys may list it is not known yet, so the list is requested again. */
async function* make(
  entrance: Entrance,
  told: string | undefined,
  maker: BucketMaker,
  steps: Steps,
): AsyncGenerator<Finding, Entered | undefined> {
  yield { check: 'key', state: 'passed' };
  yield regionFinding(entrance.target, told, undefined);
  const isThere = yield* maker.make(entrance.store);
  if (!isThere) return undefined;
  const knocked = await knock(entrance, steps);
  yield findingOfAttempt('list', knocked);
  return { store: entrance.store, canList: knocked.failure === undefined };
}

/** The region that the server named. As in restic, it counts only if the set names none. */
function regionTold({ isRegionGiven }: S3Target, failure: ProbeFailure | undefined): string | undefined {
  return isRegionGiven || failure?.reason !== 'wrong_region' ? undefined : failure.detail.subject;
}

/** Reports the check that a refused list belongs to. The chain goes on only if the list alone is denied to the keys. */
async function* refuse(
  entrance: Entrance,
  failure: ProbeFailure,
  ms: number,
  steps: Steps,
): AsyncGenerator<Finding, Entered | undefined> {
  const { target, store } = entrance;
  const { reason, detail } = failure;
  const broken = CHECKS_BY_REASON[reason] ?? 'key';
  if (broken !== 'list') {
    if (broken === 'bucket') yield { check: 'key', state: 'passed' };
    yield { ...findingOf(broken, 'failed', reason, detail), ms };
    return undefined;
  }
  const located = target.bucket === undefined ? { failure, ms } : await locate(entrance, steps);
  if (located.failure !== undefined) {
    yield* refuseAll(entrance, failure, steps);
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
async function* refuseAll(
  { target, store }: Entrance,
  { reason, detail }: ProbeFailure,
  steps: Steps,
): AsyncGenerator<Finding> {
  const told = await attempt(() => store.tellsWrongSecrets(steps.signal));
  if (told.failure !== undefined) {
    yield findingOfAttempt('key', told);
    return;
  }
  if (told.value) {
    yield { check: 'key', state: 'passed' };
    if (target.bucket === undefined) {
      yield regionFinding(target, undefined, undefined);
      yield* withoutBucket();
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
  told: string | undefined,
  located: Pick<Attempt<void>, 'failure' | 'ms'> | undefined,
): Finding {
  if (told !== undefined) return findingOf('region', 'warning', 'wrong_region', { field: 'region', subject: told });
  if (located?.failure === undefined) {
    return { check: 'region', state: 'passed', subject: region, ...(located === undefined ? {} : { ms: located.ms }) };
  }
  const { reason, detail } = located.failure;
  return { ...findingOf('region', 'warning', reason, { field: 'region', ...detail }), ms: located.ms };
}

function knock({ store }: Entrance, { signal }: Steps): Promise<Attempt<void>> {
  return attempt(() => store.knock(signal));
}

function locate({ store }: Entrance, { signal }: Steps): Promise<Attempt<void>> {
  return attempt(() => store.locate(signal));
}
