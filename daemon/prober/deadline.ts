import { ProbeFailure } from './failure.ts';

/**
 * Runs a step with a time-out of `ms`. The step gets a signal; if the step ignores that, it is abandoned.
 *
 * @throws ProbeFailure `timed_out` after `ms`; the reason of `signal` if that was aborted
 */
export async function withTimeout<Value>(
  ms: number,
  signal: AbortSignal,
  step: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  signal.throwIfAborted();
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const controller = new AbortController();
  const stop = (reason: unknown): void => {
    reject(reason);
    controller.abort(reason);
  };
  const timer = setTimeout(() => stop(new ProbeFailure('timed_out')), ms);
  const cancel = (): void => stop(signal.reason);
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const running = step(controller.signal);
    // A late error of an abandoned step must not become an unhandled rejection.
    running.catch(() => undefined);
    return await Promise.race([running, stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
  }
}

/** Returns a signal that is aborted `ms` after `signal`. */
export function delayedAbort(signal: AbortSignal, ms: number): AbortSignal {
  const controller = new AbortController();
  const start = (): void => {
    setTimeout(() => controller.abort(signal.reason), ms).unref();
  };
  if (signal.aborted) start();
  else signal.addEventListener('abort', start, { once: true });
  return controller.signal;
}
