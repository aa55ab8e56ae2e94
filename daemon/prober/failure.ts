import type { CheckId, Finding, Reason } from '../../src/validation.ts';
import { SUBJECT_LENGTH_MAX } from '../../src/limits.ts';

/** The parts of a finding that name what exactly is at fault. */
export type Detail = Pick<Finding, 'field' | 'subject'>;

/** Makes a {@link Detail} of the parts that are defined. */
export function detailOf(field: string | undefined, subject: string | undefined): Detail {
  return { ...(field === undefined ? {} : { field }), ...(subject === undefined ? {} : { subject }) };
}

/** Failure of a step, with a reason of the closed set. It contains no message of a library or of a server. */
export class ProbeFailure extends Error {
  readonly reason: Reason;
  readonly detail: Detail;
  /** Whether an earlier request of the same call ended so that it is unknown if the server carried it out. */
  followsUnknownOutcome = false;

  constructor(reason: Reason, detail: Detail = {}) {
    super(`the probe failed: ${reason}`);
    this.name = 'ProbeFailure';
    this.reason = reason;
    this.detail = detail;
  }
}

/** Reasons after which it is unknown whether the server carried out the request. */
const UNKNOWN_OUTCOMES: ReadonlySet<Reason> = new Set([
  'timed_out',
  'connection_lost',
  'server_error',
  'unexpected_answer',
  'answer_too_large',
]);

/** Tells whether a failed request may have created an object or bucket nevertheless, which then has to be removed. */
export function isUnknownOutcome(reason: Reason): boolean {
  return UNKNOWN_OUTCOMES.has(reason);
}

/** Makes the finding of a check with a reason. The subject is made safe to show. */
export function findingOf(check: CheckId, state: Finding['state'], reason: Reason, detail: Detail = {}): Finding {
  const { field, subject } = detail;
  return { check, state, reason, ...detailOf(field, subject === undefined ? undefined : printable(subject)) };
}

/** Text that is safe to show: printable ASCII, cut to the length that a subject may have. */
function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, SUBJECT_LENGTH_MAX);
}
