import { performance } from 'node:perf_hooks';

import type { CheckId, Finding } from '../../src/validation.ts';
import { findingOf, ProbeFailure } from './failure.ts';

/** An attempt that succeeded. */
export interface Done<Value> {
  readonly value: Value;
  readonly failure?: undefined;
  readonly ms: number;
}

/** The outcome of an attempt, and how long it took either way. */
export type Attempt<Value> =
  | Done<Value>
  | { readonly value?: undefined; readonly failure: ProbeFailure; readonly ms: number };

/** Runs `work` and returns its outcome. @throws every error that is not a ProbeFailure */
export async function attempt<Value>(work: () => Promise<Value>): Promise<Attempt<Value>> {
  const startedMs = performance.now();
  try {
    const value = await work();
    return { value, ms: elapsedMs(startedMs) };
  } catch (error) {
    if (!(error instanceof ProbeFailure)) throw error;
    return { failure: error, ms: elapsedMs(startedMs) };
  }
}

/** The finding of a check that consists of a single attempt. */
export function findingOfAttempt(check: CheckId, { failure, ms }: Pick<Attempt<unknown>, 'failure' | 'ms'>): Finding {
  if (failure === undefined) return { check, state: 'passed', ms };
  return { ...findingOf(check, 'failed', failure.reason, failure.detail), ms };
}

/** Whole milliseconds since a time of `performance.now()`. */
export function elapsedMs(startedMs: number): number {
  return Math.round(performance.now() - startedMs);
}
