/** With less than this part of what was asked for, a promise would be kept by a load that is none. */
export const LEAST_PART = 0.25;

/** How much of what was asked for a machine allows. */
export interface Allowed {
  readonly count: number;
  /** Why it is too little to say anything. */
  readonly notRun?: string;
  /** By how much it is less than asked for, and why. */
  readonly fewer?: string;
}

/** Takes as much of what is asked for as there can be. */
export function lessThanAsked(asked: number, possible: number, unit: string, limit: string): Allowed {
  const count = Math.min(asked, Math.max(0, possible));
  if (count === asked) return { count };
  const fewer = `${count} ${unit} instead of ${asked}, for ${limit}`;
  return count < asked * LEAST_PART ? { count, notRun: `there could be ${fewer}` } : { count, fewer };
}
