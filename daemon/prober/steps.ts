import type { CheckId, Finding } from '../../src/validation.ts';
import { attempt, findingOfAttempt, type Attempt, type Done } from './attempt.ts';
import { withTimeout } from './deadline.ts';
import { STEP_MS } from './limits.ts';

/** A step that was started ahead of its turn. Its outcome is reported only at the turn of its check. */
export interface StartedStep<Value> {
  /** Resolves with the result of the step, or with undefined if it failed or was abandoned. */
  readonly ended: Promise<Value | undefined>;
  /** Reports the outcome, as {@link Steps.run} does. */
  report(check: CheckId): AsyncGenerator<Finding, Done<Value> | undefined>;
  /** Cancels the step if its result is not needed any more. May be called after the step has ended. */
  abandon(): void;
}

/** Runs the steps of a chain: each has a time-out, and one signal ends them all. */
export class Steps {
  readonly signal: AbortSignal;
  /** Aborted when nobody waits for the result any more: then there is only a moment to remove what was created. */
  readonly cancel: AbortSignal;
  /**
   * Aborted when the time for all steps is up; there is still time to remove what was created. The field keeps the
   * signal alive, which the one that `AbortSignal.any()` returns does not.
   */
  readonly late: AbortSignal;

  constructor(cancel: AbortSignal, late: AbortSignal) {
    this.signal = AbortSignal.any([cancel, late]);
    this.cancel = cancel;
    this.late = late;
  }

  /** Runs a step. A ProbeFailure becomes the finding of `check`, and undefined is returned; other errors are thrown. */
  run<Value>(
    check: CheckId,
    step: (signal: AbortSignal) => Promise<Value>,
    ms: number = STEP_MS,
  ): AsyncGenerator<Finding, Done<Value> | undefined> {
    return report(check, () => attempt(() => withTimeout(ms, this.signal, step)));
  }

  /** Starts a step at once; other steps may run before its outcome is asked for. */
  start<Value>(step: (signal: AbortSignal) => Promise<Value>, ms: number = STEP_MS): StartedStep<Value> {
    const controller = new AbortController();
    const signal = AbortSignal.any([this.signal, controller.signal]);
    const attempted = attempt(() => withTimeout(ms, signal, step));
    return {
      // `report` may never be called; then an error of the step must not become an unhandled rejection.
      ended: attempted.then(
        ({ value }) => value,
        () => undefined,
      ),
      report: (check) => report(check, () => attempted),
      abandon: () => controller.abort(),
    };
  }
}

async function* report<Value>(
  check: CheckId,
  attempting: () => Promise<Attempt<Value>>,
): AsyncGenerator<Finding, Done<Value> | undefined> {
  const attempted = await attempting();
  if (attempted.failure === undefined) return attempted;
  yield findingOfAttempt(check, attempted);
  return undefined;
}
