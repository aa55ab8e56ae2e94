import { performance } from 'node:perf_hooks';

import type { CheckId, Finding } from '../../src/validation.ts';
import { within } from './deadline.ts';
import { findingOf, ProbeFailure } from './failure.ts';
import { STEP_MS } from './limits.ts';

/** What a chain's steps run in: each has a deadline, and all end with one signal. */
export class Steps {
  readonly signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  /** Runs a step. Where it fails, that is the finding of `check`, and undefined is returned; other errors are thrown. */
  async *run<Value>(
    check: CheckId,
    step: (signal: AbortSignal) => Promise<Value>,
    ms: number = STEP_MS,
  ): AsyncGenerator<Finding, { readonly value: Value; readonly ms: number } | undefined> {
    const startedMs = performance.now();
    try {
      const value = await within(ms, this.signal, step);
      return { value, ms: since(startedMs) };
    } catch (error) {
      if (!(error instanceof ProbeFailure)) throw error;
      yield { ...findingOf(check, 'failed', error.reason, error.detail), ms: since(startedMs) };
      return undefined;
    }
  }
}

/** Whole milliseconds since a time of `performance.now()`. */
export function since(startedMs: number): number {
  return Math.round(performance.now() - startedMs);
}
