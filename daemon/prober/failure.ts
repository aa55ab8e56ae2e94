import type { CheckId, Finding, Reason } from '../../src/validation.ts';
import { SUBJECT_LENGTH_MAX } from '../../src/limits.ts';

/** What a finding says besides its check and its state. */
export type Detail = Pick<Finding, 'field' | 'subject'>;

/** What there is of both. */
export function detailOf(field: string | undefined, subject: string | undefined): Detail {
  return { ...(field === undefined ? {} : { field }), ...(subject === undefined ? {} : { subject }) };
}

/** Why a step did not succeed, in the closed set of reasons: no message of a library or of a server is in it. */
export class ProbeFailure extends Error {
  readonly reason: Reason;
  readonly detail: Detail;
  /** Whether a request before it ended so that nobody knows whether the server has done what it was asked. */
  isAfterUnknown = false;

  constructor(reason: Reason, detail: Detail = {}) {
    super(`the probe failed: ${reason}`);
    this.name = 'ProbeFailure';
    this.reason = reason;
    this.detail = detail;
  }
}

/** How a request can end so that nobody knows whether the server has done what it was asked. */
const UNKNOWN_ENDS: ReadonlySet<Reason> = new Set([
  'timed_out',
  'connection_lost',
  'server_error',
  'unexpected_answer',
  'answer_too_large',
]);

/** Tells whether what a request should have made may be there although it failed: it is to be taken away then. */
export function leavesUnknown(reason: Reason): boolean {
  return UNKNOWN_ENDS.has(reason);
}

/** The finding of a check that did not simply pass. */
export function findingOf(check: CheckId, state: Finding['state'], reason: Reason, detail: Detail = {}): Finding {
  const { field, subject } = detail;
  return { check, state, reason, ...detailOf(field, subject === undefined ? undefined : printable(subject)) };
}

/** Text that is safe to show: printable ASCII, cut to the length that a subject may have. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, SUBJECT_LENGTH_MAX);
}
