import type { CheckId, Finding, Reason } from '../../src/validation.ts';
import { attempt, findingOfAttempt } from './attempt.ts';
import type { BucketMaker } from './bucket-maker.ts';
import { clockFinding } from './clock.ts';
import { findingOf } from './failure.ts';
import type { Wire } from './network/wire.ts';
import type { BucketStore } from './providers/object-store.ts';
import { skippedWithoutBucket } from './skipped-findings.ts';
import type { Steps } from './steps.ts';

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
export async function* checkStoreAccess(
  store: BucketStore,
  wire: Wire | undefined,
  maker: BucketMaker | undefined,
  steps: Steps,
): AsyncGenerator<Finding, { readonly canList: boolean } | undefined> {
  const tryKeys = (): Promise<void> => store.tryKeys(steps.signal);
  const attempted = await attempt(tryKeys);
  const { failure, ms } = attempted;
  const clock = wire === undefined ? undefined : clockFinding(wire, failure);
  if (clock !== undefined) yield clock;
  if (clock?.state === 'failed') return undefined;

  const failedCheck = failure === undefined ? undefined : (CHECKS_BY_REASON[failure.reason] ?? 'key');
  const findingFor = (check: CheckId): Finding =>
    failedCheck === check
      ? findingOfAttempt(check, attempted)
      : { check, state: 'passed', ...(check === 'list' ? { ms } : {}) };
  yield findingFor('key');
  if (failedCheck === 'key') return undefined;
  yield findingOf('region', 'skipped', 'not_needed');
  if (store.bucket === '') {
    yield* skippedWithoutBucket();
    return undefined;
  }
  if (failedCheck === 'bucket' && maker !== undefined) {
    const exists = yield* maker.make(store);
    if (!exists) return undefined;
    const again = await attempt(tryKeys);
    yield findingOfAttempt('list', again);
    return { canList: again.failure === undefined };
  }
  // A missing bucket is reported before anything about rights.
  yield findingFor('bucket');
  if (failedCheck === 'bucket') return undefined;
  yield findingFor('list');
  return { canList: failedCheck === undefined };
}
