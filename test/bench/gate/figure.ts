/** One thing that was counted. */
export interface Figure {
  readonly id: string;
  readonly what: string;
  /** Undefined where it cannot be counted on this machine; `missing` says for want of what. */
  readonly value: number | undefined;
  readonly missing?: string;
}

/** The least that came of some attempts: what comes on top of it is the machine's. */
export async function leastOf(rounds: number, attempt: () => Promise<number>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round += 1) least = Math.min(least, await attempt());
  return least;
}
