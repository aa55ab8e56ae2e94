import type { CheckId, Finding, Reason } from '../../src/validation.ts';
import { attempt, findingOfAttempt } from './attempt.ts';
import type { BucketMaker } from './bucket-maker.ts';
import { clockFinding } from './clock.ts';
import { findingOf } from './failure.ts';
import type { Wire } from './network/wire.ts';
import type { BucketStore } from './providers/object-store.ts';
import type { Steps } from './steps.ts';
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
  const knock = (): Promise<void> => store.knock(steps.signal);
  const knocked = await attempt(knock);
  const { failure, ms } = knocked;
  const clock = wire === undefined ? undefined : clockFinding(wire, failure);
  if (clock !== undefined) yield clock;
  if (clock?.state === 'failed') return undefined;

  const broken = failure === undefined ? undefined : (CHECKS_BY_REASON[failure.reason] ?? 'key');
  const told = (check: CheckId): Finding =>
    broken === check
      ? findingOfAttempt(check, knocked)
      : { check, state: 'passed', ...(check === 'list' ? { ms } : {}) };
  yield told('key');
  if (broken === 'key') return undefined;
  yield findingOf('region', 'skipped', 'not_needed');
  if (store.bucket === '') {
    yield* withoutBucket();
    return undefined;
  }
  if (broken === 'bucket' && maker !== undefined) {
    const isThere = yield* maker.make(store);
    if (!isThere) return undefined;
    const again = await attempt(knock);
    yield findingOfAttempt('list', again);
    return { canList: again.failure === undefined };
  }
  // Where it is not there, that is said before anything about rights.
  yield told('bucket');
  if (broken === 'bucket') return undefined;
  yield told('list');
  return { canList: broken === undefined };
}
