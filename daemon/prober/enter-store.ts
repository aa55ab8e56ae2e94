import type { CheckId, Finding, Reason } from '../../src/validation.ts';
import type { BucketMaker } from './bucket-maker.ts';
import { clockFinding } from './clock.ts';
import { findingOf, ProbeFailure } from './failure.ts';
import type { Wire } from './network/wire.ts';
import type { BucketStore } from './providers/object-store.ts';
import { since, type Steps } from './steps.ts';
import { withoutBucket } from './without.ts';

/** The link that a refusal of the first request breaks; every other refusal is one of the key. */
const CHECKS_BY_REASON: Readonly<Partial<Record<Reason, CheckId>>> = {
  no_such_bucket: 'bucket',
  access_denied: 'list',
};

/**
 * The links from the clock to the list of a store that is asked without a region, by one request for a list of one name.
 *
 * @param maker undefined where a bucket that is not there is to stay so
 * @param wire the one that the request goes over; undefined where the clocks were compared before
 * @returns whether one can list; undefined where there is no way on
 */
export async function* enterStore(
  store: BucketStore,
  wire: Wire | undefined,
  maker: BucketMaker | undefined,
  steps: Steps,
): AsyncGenerator<Finding, { readonly canList: boolean } | undefined> {
  const { failure, ms } = await attempt(store, steps);
  const clock = wire === undefined ? undefined : clockFinding(wire, failure);
  if (clock !== undefined) yield clock;
  if (clock?.state === 'failed') return undefined;

  const broken = failure === undefined ? undefined : (CHECKS_BY_REASON[failure.reason] ?? 'key');
  const refused = (check: CheckId): Finding[] =>
    failure === undefined || broken !== check
      ? [{ check, state: 'passed', ...(check === 'list' ? { ms } : {}) }]
      : [{ ...findingOf(check, 'failed', failure.reason, failure.detail), ms }];
  yield* refused('key');
  if (broken === 'key') return undefined;
  yield findingOf('region', 'skipped', 'not_needed');
  if (store.bucket === '') {
    yield* withoutBucket();
    return undefined;
  }
  if (broken === 'bucket' && maker !== undefined) {
    const isThere = yield* maker.make(store);
    if (!isThere) return undefined;
    const again = await attempt(store, steps);
    yield listFinding(again);
    return { canList: again.failure === undefined };
  }
  // Where it is not there, that is said before anything about rights.
  yield* refused('bucket');
  if (broken === 'bucket') return undefined;
  yield* refused('list');
  return { canList: broken === undefined };
}

interface Attempt {
  readonly failure: ProbeFailure | undefined;
  readonly ms: number;
}

async function attempt(store: BucketStore, { signal }: Steps): Promise<Attempt> {
  const startedMs = performance.now();
  try {
    await store.knock(signal);
    return { failure: undefined, ms: since(startedMs) };
  } catch (error) {
    if (!(error instanceof ProbeFailure)) throw error;
    return { failure: error, ms: since(startedMs) };
  }
}

function listFinding({ failure, ms }: Attempt): Finding {
  if (failure === undefined) return { check: 'list', state: 'passed', ms };
  return { ...findingOf('list', 'failed', failure.reason, failure.detail), ms };
}
