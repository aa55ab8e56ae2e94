import { compareRounds, spreadOf } from './statistics.ts';
import type { Spread } from './statistics.ts';

/** The limit of a comparison. */
export interface Budget {
  readonly kind: 'at most' | 'at least';
  readonly limit: number;
  /** The work that the time or memory is spent on, which would have to change for a missed budget to be met. */
  readonly madeOf: string;
}

/** A point of a row that scales: its plot, and the size it was measured with (clients, credentials). */
export interface Point {
  readonly plot: 'clients-throughput' | 'clients-p99' | 'store-get' | 'list-total';
  readonly x: number;
}

export type Unit = 'ms' | 'µs' | '/s' | 'MiB';

/** One line of the table: a measurement, and the reference that was measured in the same rounds. */
export interface Measurement {
  /** The row that it belongs to, for `--only`. */
  readonly row: string;
  readonly what: string;
  /** A precise description of the reference. */
  readonly against: string;
  readonly unit: Unit;
  readonly measured: Spread;
  readonly reference: Spread;
  readonly comparison: 'ratio' | 'difference';
  /** The comparison round by round: a factor, or a difference in {@link unit}. */
  readonly compared: Spread;
  /** None if the line is for information only. */
  readonly budget?: Budget;
  /** Its place in a plot. */
  readonly point?: Point;
  readonly note?: string;
}

/** The fields of a line that are known before its measurement. */
export interface Line {
  readonly row: string;
  readonly what: string;
  readonly against: string;
  readonly unit: Unit;
  readonly budget?: Budget | undefined;
  readonly point?: Point;
  readonly note?: string | undefined;
}

/** Measured divided by reference. */
export function ratio(line: Line, measured: readonly number[], reference: readonly number[]): Measurement {
  return compare(line, 'ratio', measured, reference, (value, other) => value / other);
}

/** Measured less reference. */
export function difference(line: Line, measured: readonly number[], reference: readonly number[]): Measurement {
  return compare(line, 'difference', measured, reference, (value, other) => value - other);
}

/** Undefined if there is no budget. */
export function isMet({ budget, compared }: Measurement): boolean | undefined {
  if (budget === undefined) return undefined;
  return budget.kind === 'at most' ? compared.median <= budget.limit : compared.median >= budget.limit;
}

/** A distance of the quartiles, as a part of the median, that shows noise of the machine. */
const NOISY_PART = 0.2;

/** Tells whether the rounds differ so much that another run could have a different median. */
export function isNoisy({ comparison, compared, reference }: Measurement): boolean {
  const scale = comparison === 'ratio' ? compared.median : reference.median;
  return compared.q3 - compared.q1 > NOISY_PART * Math.abs(scale);
}

/** Tells whether a quarter of the rounds contradicts the median's verdict on the budget. */
export function isDoubtful({ budget, compared }: Measurement): boolean {
  return budget !== undefined && compared.q1 < budget.limit && budget.limit < compared.q3;
}

function compare(
  { row, what, against, unit, budget, point, note }: Line,
  comparison: Measurement['comparison'],
  measured: readonly number[],
  reference: readonly number[],
  calculate: (measured: number, reference: number) => number,
): Measurement {
  return {
    row,
    what,
    against,
    unit,
    measured: spreadOf(measured),
    reference: spreadOf(reference),
    comparison,
    compared: compareRounds(measured, reference, calculate),
    ...(budget === undefined ? {} : { budget }),
    ...(point === undefined ? {} : { point }),
    ...(note === undefined ? {} : { note }),
  };
}
