import { ProbeFailure } from './failure.ts';

/**
 * Runs a step that must not take longer than `ms`: it gets a signal, and is left behind where it does not heed it.
 *
 * @throws ProbeFailure `timed_out` when it was late; the reason of `signal` when that was aborted
 */
export async function within<Value>(
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
    // Where it was left behind, what becomes of it is of no interest.
    running.catch(() => undefined);
    return await Promise.race([running, stopped]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
  }
}

/** A signal that is aborted `ms` after another one. */
export function delayed(signal: AbortSignal, ms: number): AbortSignal {
  const controller = new AbortController();
  const start = (): void => {
    setTimeout(() => controller.abort(signal.reason), ms).unref();
  };
  if (signal.aborted) start();
  else signal.addEventListener('abort', start, { once: true });
  return controller.signal;
}
