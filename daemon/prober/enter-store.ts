import type { CheckId, Finding, Reason } from '../../src/validation.ts';
import { attempt, findingOfAttempt } from './attempt.ts';
import type { BucketMaker } from './bucket-maker.ts';
import { clockFinding } from './clock.ts';
import { findingOf } from './failure.ts';
import type { Wire } from './network/wire.ts';
import type { BucketStore } from './providers/object-store.ts';
import type { Steps } from './steps.ts';
import { withoutBucket } from './without.ts';

/** The check that fails when the first request is refused for a reason; every other reason is a failure of `key`. */
const CHECKS_BY_REASON: Readonly<Partial<Record<Reason, CheckId>>> = {
  no_such_bucket: 'bucket',
  access_denied: 'list',
};

/**
 * Runs the checks from `clock` to `list` for a store without regions, with one request, for a list of one name.
 *
 * @param maker undefined if a missing bucket is not to be created
 * @param wire the connection of that request; undefined if the clocks were compared before
 * @returns whether the keys may list the bucket; undefined if the chain cannot go on
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
  // A missing bucket is reported before anything about rights.
  yield told('bucket');
  if (broken === 'bucket') return undefined;
  yield told('list');
  return { canList: broken === undefined };
}
