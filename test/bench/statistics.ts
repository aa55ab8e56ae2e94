/** The values of several rounds. The median counts; the quartiles show how noisy the machine was. */
export interface Spread {
  readonly median: number;
  /** First and third quartile. */
  readonly q1: number;
  readonly q3: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

/** @throws RangeError if there is no value */
export function spreadOf(values: readonly number[]): Spread {
  if (values.length === 0) throw new RangeError('no round was measured');
  const sorted = values.toSorted((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    q1: quantile(sorted, 0.25),
    q3: quantile(sorted, 0.75),
    min: quantile(sorted, 0),
    max: quantile(sorted, 1),
    rounds: sorted.length,
  };
}

/** Returns a quantile of sorted values, interpolated between two of them. */
export function quantile(sorted: ArrayLike<number>, part: number): number {
  const place = (sorted.length - 1) * part;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

/** Compares the values of the same rounds, round by round. */
export function compareRounds(
  measured: readonly number[],
  reference: readonly number[],
  compare: (measured: number, reference: number) => number,
): Spread {
  return spreadOf(measured.map((value, round) => compare(value, reference[round] ?? Number.NaN)));
}

/**
 * Runs every candidate once per round, in turn (A B A B …), so that a temporary disturbance of the machine affects all
 * of them.
 *
 * @returns the results of each, by round
 */
export async function interleave<Name extends string, Value>(
  rounds: number,
  candidates: Readonly<Record<Name, (round: number) => Promise<Value> | Value>>,
): Promise<Record<Name, Value[]>> {
  const names = Object.keys(candidates) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, [] as Value[]])) as Record<Name, Value[]>;
  for (let round = 0; round < rounds; round += 1) {
    for (const name of names) results[name].push(await candidates[name](round));
  }
  return results;
}
