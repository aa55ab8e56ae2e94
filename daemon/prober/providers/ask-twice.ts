import { setTimeout as pause } from 'node:timers/promises';

import { ProbeFailure } from '../failure.ts';
import { RETRY_PAUSE_MS } from '../limits.ts';

/** Asks; a server that fails is asked once more, after a pause of our choice and not of its own. */
export async function askTwice<Value>(ask: () => Promise<Value>, signal: AbortSignal): Promise<Value> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ProbeFailure) || error.reason !== 'server_error') throw error;
  }
  // The reason of the signal is what callers look for, and not that of the timer.
  await pause(RETRY_PAUSE_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  return ask();
}
