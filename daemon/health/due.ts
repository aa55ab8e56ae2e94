import { createHash } from 'node:crypto';

/** A round is this much shorter or longer, as a part of the interval, so that sets drift apart. */
const JITTER = 0.1;

/** What is known of a set when the next trial of it is planned. Times are milliseconds since the epoch. */
export interface Planned {
  readonly key: string;
  /** When it was last tried as it is now; undefined where it was not. */
  readonly tried: number | undefined;
  readonly changed: number;
  /** Since when the schedule has been running, with the store open. */
  readonly since: number;
  readonly everyMs: number;
}

/**
 * When a set is to be tried next. It follows from what is stored, so that a restart does not try everything anew. What was
 * never tried as it is, and what is overdue at a start, is spread over the interval.
 */
export function dueTime({ key, tried, changed, since, everyMs }: Planned): number {
  const from = tried ?? Math.max(changed, since);
  const share = fraction(`${key} ${from}`);
  const due = tried === undefined ? from + everyMs * share : from + everyMs * (1 - JITTER + 2 * JITTER * share);
  return due < since ? since + everyMs * fraction(`${key} ${since}`) : due;
}

/** A number from 0 to below 1, always the same for the same text. */
function fraction(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE() / 2 ** 32;
}
