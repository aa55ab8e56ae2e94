import { createHash } from 'node:crypto';

/** A round is shorter or longer by at most this part of the interval, so that sets drift apart. */
const JITTER = 0.1;

/** What is known of a set when the next validation of it is planned. Times are milliseconds since the epoch. */
export interface ScheduledSet {
  readonly key: string;
  /** When it was last validated as it is now; undefined if it was not. */
  readonly validated: number | undefined;
  readonly changed: number;
  /** Since when the schedule has been running, with the store open. */
  readonly since: number;
  readonly everyMs: number;
}

/**
 * Returns when a set is to be validated next. It follows from what is stored, so that a restart does not validate
 * everything anew. Sets that were never validated as they are, and sets that are overdue at a start, are spread over
 * the interval.
 */
export function dueTime({ key, validated, changed, since, everyMs }: ScheduledSet): number {
  const from = validated ?? Math.max(changed, since);
  const share = fraction(`${key} ${from}`);
  const due = validated === undefined ? from + everyMs * share : from + everyMs * (1 - JITTER + 2 * JITTER * share);
  return due < since ? since + everyMs * fraction(`${key} ${since}`) : due;
}

/** Returns a number from 0 to below 1, always the same for the same text. */
function fraction(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32;
}
