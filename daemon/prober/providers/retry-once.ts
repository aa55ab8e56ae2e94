import { setTimeout as pause } from 'node:timers/promises';

import { ProbeFailure } from '../failure.ts';
import { RETRY_PAUSE_MS } from '../limits.ts';

/**
 * Sends a request. If the server fails, the request is sent once more, after a pause that the prober chooses and not
 * the server. The server may have carried out the first request: `send` is told by `isRepeated` that it sends the
 * second, and a failure of that has `followsUnknownOutcome` set.
 */
export async function retryOnce<Value>(
  send: (isRepeated: boolean) => Promise<Value>,
  signal: AbortSignal,
): Promise<Value> {
  try {
    return await send(false);
  } catch (error) {
    if (!(error instanceof ProbeFailure) || error.reason !== 'server_error') throw error;
  }
  // Callers expect the reason of the signal, and not the error of the timer.
  await pause(RETRY_PAUSE_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  try {
    return await send(true);
  } catch (error) {
    if (error instanceof ProbeFailure) error.followsUnknownOutcome = true;
    throw error;
  }
}
