import { setTimeout as pause } from 'node:timers/promises';

import { ProbeFailure } from '../failure.ts';
import { RETRY_PAUSE_MS } from '../limits.ts';

/**
 * Asks; a server that fails is asked once more, after a pause of our choice and not of its own. It may have done the first
 * time what it was asked: an answer is told by `isRepeated` that it is the second, and a failure by its `isAfterUnknown`.
 */
export async function askTwice<Value>(
  ask: (isRepeated: boolean) => Promise<Value>,
  signal: AbortSignal,
): Promise<Value> {
  try {
    return await ask(false);
  } catch (error) {
    if (!(error instanceof ProbeFailure) || error.reason !== 'server_error') throw error;
  }
  // The reason of the signal is what callers look for, and not that of the timer.
  await pause(RETRY_PAUSE_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  try {
    return await ask(true);
  } catch (error) {
    if (error instanceof ProbeFailure) error.isAfterUnknown = true;
    throw error;
  }
}
