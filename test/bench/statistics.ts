/** What was measured in several rounds. The median is what counts; the quartiles show how noisy the machine was. */
export interface Spread {
  readonly median: number;
  /** First and third quartile. */
  readonly q1: number;
  readonly q3: number;
  readonly min: number;
  readonly max: number;
  readonly rounds: number;
}

/** @throws RangeError where there is nothing to sum up */
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

/** Of sorted values, between two of them where it falls between. */
export function quantile(sorted: ArrayLike<number>, part: number): number {
  const place = (sorted.length - 1) * part;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}

/** What one and the other gave in the same round, compared round by round. */
export function compareRounds(
  measured: readonly number[],
  reference: readonly number[],
  compare: (measured: number, reference: number) => number,
): Spread {
  return spreadOf(measured.map((value, round) => compare(value, reference[round] ?? Number.NaN)));
}

/**
 * Runs every candidate once in each round, in turn (A B A B …), so that what disturbs the machine for a while disturbs
 * all of them.
 *
 * @returns what each gave, by round
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
