import type { Finding, Reason } from '../../src/validation.ts';
import { findingOf, type ProbeFailure } from './failure.ts';
import { CLOCK_SKEW_REFUSED_S, CLOCK_SKEW_WARNED_S } from './limits.ts';
import type { Wire } from './network/wire.ts';

/** Reasons that a wrong clock has at servers that do not have an error code of its own for it. */
const BY_WRONG_CLOCK: ReadonlySet<Reason> = new Set(['wrong_secret_key', 'key_rejected', 'access_denied']);

/** The finding of the check `clock`, from the `Date` header of the first answer; undefined if there was no answer. */
export function clockFinding(wire: Wire, failure: ProbeFailure | undefined): Finding | undefined {
  if (!wire.hasAnswered) return undefined;
  const skewS = wire.clockSkewS === undefined ? undefined : Math.abs(wire.clockSkewS);
  const detail = { subject: String(skewS ?? 'some') };
  if (failure?.reason === 'clock_skewed') return findingOf('clock', 'failed', 'clock_skewed', detail);
  if (skewS === undefined) return findingOf('clock', 'skipped', 'clock_not_told');
  const isAtFault = failure !== undefined && BY_WRONG_CLOCK.has(failure.reason) && skewS > CLOCK_SKEW_REFUSED_S;
  if (isAtFault) return findingOf('clock', 'failed', 'clock_skewed', detail);
  // The server did not refuse the request because of its clock, so this is only a warning.
  if (skewS > CLOCK_SKEW_WARNED_S) return findingOf('clock', 'warning', 'clock_skewed', detail);
  return { check: 'clock', state: 'passed' };
}
