/** A counted figure. */
export interface Figure {
  readonly id: string;
  readonly what: string;
  /** Undefined if it cannot be counted on this machine; `missing` says what the machine lacks. */
  readonly value: number | undefined;
  readonly missing?: string;
}

/** Returns the least result of several attempts, as the excess of the others is the machine's. */
export async function leastOf(rounds: number, attempt: () => Promise<number>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round += 1) least = Math.min(least, await attempt());
  return least;
}
