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

/** A bucket at the end of a connection, as it is asked now. */
export interface Entrance {
  readonly target: KeyedS3Target;
  readonly wire: Wire;
  readonly store: S3Store;
}

/** A way to the same bucket in another region, which may be at another host; undefined where there is none. */
export type Move = (region: string) => AsyncGenerator<Finding, Entrance | undefined>;

/** Where the key was let in. */
export interface Entered {
  readonly store: S3Store;
  readonly canList: boolean;
}

/** The link that a refusal of the list breaks; every other refusal is one of the key. */
const CHECKS_BY_REASON: Readonly<Partial<Record<Reason, CheckId>>> = {
  clock_skewed: 'clock',
  wrong_region: 'region',
  redirected: 'region',
  no_such_bucket: 'bucket',
  access_denied: 'list',
};

/**
 * The links from the clock to the list of a store that has regions, by one request for a list of one name: its refusal tells which of them is broken,
 * which that of a HEAD cannot. Undefined where there is no way on, or no bucket to go on with.
 *
 * @param maker undefined where a bucket that is not there is to stay so
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
  // With its region in the set nobody needs to ask where the bucket is.
  const { isRegionGiven } = first.target;
  const located = isRegionGiven || told !== undefined ? undefined : await locate(entrance, steps);
  yield regionFinding(entrance.target, told, located);
  yield { check: 'bucket', state: 'passed' };
  yield { check: 'list', state: 'passed', ms };
  return { store: entrance.store, canList: true };
}

/** The bucket comes first into being; whether one can list it is then as open as it was. */
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

/** Like restic, take the region that the server tells where the set says none. */
function regionTold({ isRegionGiven }: S3Target, failure: ProbeFailure | undefined): string | undefined {
  return isRegionGiven || failure?.reason !== 'wrong_region' ? undefined : failure.detail.subject;
}

/** Finds the broken link. There is a way on where just the list is refused, and the bucket is there. */
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

/** Not even where the bucket is may be asked. */
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
    // Most likely the bucket is somebody else's.
    const subject = `${detail.subject ?? 'it'} on ${target.bucket}`;
    yield findingOf('bucket', 'failed', reason, { field: 'backup_repo', subject });
    return;
  }
  // A server that says the same of a wrong secret (RGW with STS) may mean the keys, or a token that has expired.
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
