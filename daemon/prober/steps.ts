import { performance } from 'node:perf_hooks';

import type { CheckId, Finding } from '../../src/validation.ts';
import { within } from './deadline.ts';
import { findingOf, ProbeFailure } from './failure.ts';
import { STEP_MS } from './limits.ts';

/** What a step gave, and how long it took. */
export interface Done<Value> {
  readonly value: Value;
  readonly ms: number;
}

/** A step that was begun before its turn: what becomes of it is told at its own check, and not before. */
export interface Begun<Value> {
  /** What it gave; undefined where it failed or was abandoned. */
  readonly ended: Promise<Value | undefined>;
  /** As {@link Steps.run} does it. */
  tell(check: CheckId): AsyncGenerator<Finding, Done<Value> | undefined>;
  /** Ends it where nobody wants to know any more. May be called when it has ended. */
  abandon(): void;
}

/** What a chain's steps run in: each has a deadline, and all end with one signal. */
export class Steps {
  readonly signal: AbortSignal;

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  /** Runs a step. Where it fails, that is the finding of `check`, and undefined is returned; other errors are thrown. */
  run<Value>(
    check: CheckId,
    step: (signal: AbortSignal) => Promise<Value>,
    ms: number = STEP_MS,
  ): AsyncGenerator<Finding, Done<Value> | undefined> {
    return tell(check, () => attempt(ms, this.signal, step));
  }

  /** Begins a step at once; others may run before it is asked what became of it. */
  begin<Value>(step: (signal: AbortSignal) => Promise<Value>, ms: number = STEP_MS): Begun<Value> {
    const controller = new AbortController();
    const signal = AbortSignal.any([this.signal, controller.signal]);
    const attempted = attempt(ms, signal, step);
    return {
      // Its turn may never come: then an error of it is nobody's.
      ended: attempted.then(
        (attempt) => ('failure' in attempt ? undefined : attempt.value),
        () => undefined,
      ),
      tell: (check) => tell(check, () => attempted),
      abandon: () => controller.abort(),
    };
  }
}

/** What became of a step; it took its time either way. */
type Attempt<Value> = Done<Value> | { readonly failure: ProbeFailure; readonly ms: number };

async function attempt<Value>(
  ms: number,
  signal: AbortSignal,
  step: (signal: AbortSignal) => Promise<Value>,
): Promise<Attempt<Value>> {
  const startedMs = performance.now();
  try {
    const value = await within(ms, signal, step);
    return { value, ms: since(startedMs) };
  } catch (error) {
    if (!(error instanceof ProbeFailure)) throw error;
    return { failure: error, ms: since(startedMs) };
  }
}

async function* tell<Value>(
  check: CheckId,
  attempting: () => Promise<Attempt<Value>>,
): AsyncGenerator<Finding, Done<Value> | undefined> {
  const attempted = await attempting();
  if (!('failure' in attempted)) return attempted;
  const { failure, ms } = attempted;
  yield { ...findingOf(check, 'failed', failure.reason, failure.detail), ms };
  return undefined;
}

/** Whole milliseconds since a time of `performance.now()`. */
export function since(startedMs: number): number {
  return Math.round(performance.now() - startedMs);
}
