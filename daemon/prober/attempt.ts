import { performance } from 'node:perf_hooks';

import type { CheckId, Finding } from '../../src/validation.ts';
import { findingOf, ProbeFailure } from './failure.ts';

/** What was tried gave something. */
export interface Done<Value> {
  readonly value: Value;
  readonly failure?: undefined;
  readonly ms: number;
}

/** What became of something that was tried; it took its time either way. */
export type Attempt<Value> =
  | Done<Value>
  | { readonly value?: undefined; readonly failure: ProbeFailure; readonly ms: number };

/** Tries something. @throws what is no ProbeFailure */
export async function attempt<Value>(work: () => Promise<Value>): Promise<Attempt<Value>> {
  const startedMs = performance.now();
  try {
    const value = await work();
    return { value, ms: since(startedMs) };
  } catch (error) {
    if (!(error instanceof ProbeFailure)) throw error;
    return { failure: error, ms: since(startedMs) };
  }
}

/** The finding of a check that is nothing but an attempt. */
export function findingOfAttempt(check: CheckId, { failure, ms }: Pick<Attempt<unknown>, 'failure' | 'ms'>): Finding {
  if (failure === undefined) return { check, state: 'passed', ms };
  return { ...findingOf(check, 'failed', failure.reason, failure.detail), ms };
}

/** Whole milliseconds since a time of `performance.now()`. */
export function since(startedMs: number): number {
  return Math.round(performance.now() - startedMs);
}
