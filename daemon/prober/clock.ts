import type { Finding, Reason } from '../../src/validation.ts';
import { findingOf, type ProbeFailure } from './failure.ts';
import { CLOCK_SKEW_REFUSED_S, CLOCK_SKEW_WARNED_S } from './limits.ts';
import type { Wire } from './network/wire.ts';

/** Refusals that a wrong clock makes servers give which do not know the code for it. */
const BY_WRONG_CLOCK: ReadonlySet<Reason> = new Set(['wrong_secret_key', 'key_rejected', 'access_denied']);

/** What the first answer says of the clocks; undefined where there was none. */
export function clockFinding(wire: Wire, failure: ProbeFailure | undefined): Finding | undefined {
  if (!wire.hasAnswered) return undefined;
  const skewS = wire.clockSkewS === undefined ? undefined : Math.abs(wire.clockSkewS);
  const detail = { subject: String(skewS ?? 'some') };
  if (failure?.reason === 'clock_skewed') return findingOf('clock', 'failed', 'clock_skewed', detail);
  if (skewS === undefined) return findingOf('clock', 'skipped', 'clock_not_told');
  const isAtFault = failure !== undefined && BY_WRONG_CLOCK.has(failure.reason) && skewS > CLOCK_SKEW_REFUSED_S;
  if (isAtFault) return findingOf('clock', 'failed', 'clock_skewed', detail);
  // The server took the request all the same: it is not broken yet.
  if (skewS > CLOCK_SKEW_WARNED_S) return findingOf('clock', 'warning', 'clock_skewed', detail);
  return { check: 'clock', state: 'passed' };
}
