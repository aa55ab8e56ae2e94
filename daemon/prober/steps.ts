import type { CheckId, Finding } from '../../src/validation.ts';
import { attempt, findingOfAttempt, type Attempt, type Done } from './attempt.ts';
import { within } from './deadline.ts';
import { STEP_MS } from './limits.ts';

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
  /** Nobody waits any more: what was made is to be taken away in a moment. */
  readonly cancel: AbortSignal;
  /** There is no time for more steps; to take away what was made, there is. Kept here: what `any` makes keeps it not. */
  readonly late: AbortSignal;

  constructor(cancel: AbortSignal, late: AbortSignal) {
    this.signal = AbortSignal.any([cancel, late]);
    this.cancel = cancel;
    this.late = late;
  }

  /** Runs a step. Where it fails, that is the finding of `check`, and undefined is returned; other errors are thrown. */
  run<Value>(
    check: CheckId,
    step: (signal: AbortSignal) => Promise<Value>,
    ms: number = STEP_MS,
  ): AsyncGenerator<Finding, Done<Value> | undefined> {
    return tell(check, () => attempt(() => within(ms, this.signal, step)));
  }

  /** Begins a step at once; others may run before it is asked what became of it. */
  begin<Value>(step: (signal: AbortSignal) => Promise<Value>, ms: number = STEP_MS): Begun<Value> {
    const controller = new AbortController();
    const signal = AbortSignal.any([this.signal, controller.signal]);
    const attempted = attempt(() => within(ms, signal, step));
    return {
      // Its turn may never come: then an error of it is nobody's.
      ended: attempted.then(
        ({ value }) => value,
        () => undefined,
      ),
      tell: (check) => tell(check, () => attempted),
      abandon: () => controller.abort(),
    };
  }
}

async function* tell<Value>(
  check: CheckId,
  attempting: () => Promise<Attempt<Value>>,
): AsyncGenerator<Finding, Done<Value> | undefined> {
  const attempted = await attempting();
  if (attempted.failure === undefined) return attempted;
  yield findingOfAttempt(check, attempted);
  return undefined;
}
