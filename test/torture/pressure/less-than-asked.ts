/** Below this part of what was asked for, the load is too small to test a promise. */
export const LEAST_PART = 0.25;

/** How much of what was asked for a machine allows. */
export interface Allowed {
  readonly count: number;
  /** Why it is too little to run. */
  readonly notRun?: string;
  /** How much less than asked for it is, and why. */
  readonly fewer?: string;
}

/** Returns as much of what is asked for as the machine allows. */
export function lessThanAsked(asked: number, possible: number, unit: string, limit: string): Allowed {
  const count = Math.min(asked, Math.max(0, possible));
  if (count === asked) return { count };
  const fewer = `${count} ${unit} instead of ${asked}, for ${limit}`;
  return count < asked * LEAST_PART ? { count, notRun: `there could be ${fewer}` } : { count, fewer };
}
