import { compareRounds, spreadOf } from './statistics.ts';
import type { Spread } from './statistics.ts';

/** What a budget allows of a comparison. */
export interface Budget {
  readonly kind: 'at most' | 'at least';
  readonly limit: number;
  /** What the measured takes its time, or its memory, for: what would have to change where the budget is missed. */
  readonly madeOf: string;
}

/** One point of a row that scales: which plot, and what the row was measured with (clients, credentials). */
export interface Point {
  readonly plot: 'clients-throughput' | 'clients-p99' | 'store-get' | 'list-total';
  readonly x: number;
}

export type Unit = 'ms' | 'µs' | '/s' | 'MiB';

/** One line of the table: something, and the reference that was measured in the same rounds. */
export interface Measurement {
  /** The row that it belongs to, for `--only`. */
  readonly row: string;
  readonly what: string;
  /** What exactly the reference is. */
  readonly against: string;
  readonly unit: Unit;
  readonly measured: Spread;
  readonly reference: Spread;
  readonly comparison: 'ratio' | 'difference';
  /** The comparison round by round: a factor, or a difference in {@link unit}. */
  readonly compared: Spread;
  /** None where the line is there to be known. */
  readonly budget?: Budget;
  /** Where it stands in a plot. */
  readonly point?: Point;
  readonly note?: string;
}

/** What is known of a line before it was measured. */
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

/** Undefined where there is no budget. */
export function isMet({ budget, compared }: Measurement): boolean | undefined {
  if (budget === undefined) return undefined;
  return budget.kind === 'at most' ? compared.median <= budget.limit : compared.median >= budget.limit;
}

/** Quartiles that lie so far apart, as a part of the median, tell of the machine as well. */
const NOISY_PART = 0.2;

/** Whether the rounds differ so much that another run may well give another median. */
export function isNoisy({ comparison, compared, reference }: Measurement): boolean {
  const scale = comparison === 'ratio' ? compared.median : reference.median;
  return compared.q3 - compared.q1 > NOISY_PART * Math.abs(scale);
}

/** Whether a quarter of the rounds says something else about the budget than their median does. */
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
