import type { CheckId, Finding, Reason } from '../../src/validation.ts';
import { clockFinding } from './clock.ts';
import { findingOf, ProbeFailure } from './failure.ts';
import type { Wire } from './network/wire.ts';
import type { ObjectStore } from './providers/object-store.ts';
import { since, type Steps } from './steps.ts';

/** The link that a refusal of the list breaks; every other refusal is one of the key. */
const CHECKS_BY_REASON: Readonly<Partial<Record<Reason, CheckId>>> = {
  no_such_bucket: 'bucket',
  access_denied: 'list',
};

/**
 * The links from the clock to the list of a store that is asked without a region, by one request for a list of one name.
 *
 * @param wire the one that the request goes over; undefined where the clocks were compared before
 * @returns whether one can list; undefined where there is no way on
 */
export async function* enterStore(
  store: Pick<ObjectStore, 'list'>,
  wire: Wire | undefined,
  { signal }: Steps,
): AsyncGenerator<Finding, { readonly canList: boolean } | undefined> {
  const startedMs = performance.now();
  let failure: ProbeFailure | undefined;
  try {
    await store.list('', 1, signal);
  } catch (error) {
    if (!(error instanceof ProbeFailure)) throw error;
    failure = error;
  }
  const ms = since(startedMs);
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
  // Where it is not there, that is said before anything about rights.
  yield* refused('bucket');
  if (broken === 'bucket') return undefined;
  yield* refused('list');
  return { canList: broken === undefined };
}
