import { setTimeout as pause } from 'node:timers/promises';
import { isCredentialError } from '../../../src/errors.ts';
import type { WatchIn } from '../../../src/protocol/interface.generated.ts';
import type { CredentialClient } from '../../client.ts';
import { ConnectionError } from '../../connection-error.ts';
import type { Session } from '../session.ts';
import { WatchState, type WatchEvent } from './watch-state.ts';

/** Time-out of a watch, in which nothing may change for weeks: the longest that Node's timers support. */
const SILENCE_MAX_MS = 0x7fff_ffff;

/** Delay before a daemon that went away is tried again. It doubles with each attempt, up to the maximum. */
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2000;

/** Delay before a call is repeated that failed because the daemon was gone or locked. */
export const ASK_AGAIN_MS: number = RETRY_MAX_MS;

/** The connection failures that are temporary. */
const PASSING: ReadonlySet<string> = new Set(['not_found', 'refused', 'closed', 'timed_out', 'failed']);

/** Is told when the watch is interrupted, and when it goes on. */
export interface FollowListener {
  /** The watch is interrupted. Called once for each interruption and reason. */
  onLost(reason: 'gone' | 'locked'): void;
  onBack(): void;
}

/** A batch: the initial state, or changes. */
export interface WatchBatch {
  readonly isFirst: boolean;
  readonly events: readonly WatchEvent[];
}

/**
 * Yields the initial state, and then every change, without end. If the daemon goes away or locks its store, the
 * generator waits for it, and yields what is different afterwards like any other change.
 *
 * @param isPatient waits for the daemon at the start, too
 * @throws CredentialError, ConnectionError for errors that do not pass; without `isPatient`, for any error at the start
 */
export async function* follow(
  session: Session,
  parameters: WatchIn,
  listener: FollowListener,
  isPatient = false,
): AsyncGenerator<WatchBatch, never, undefined> {
  const state = new WatchState();
  let isFirst = true;
  let retryMs = RETRY_MIN_MS;
  let lost: 'gone' | 'locked' | undefined;
  for (;;) {
    let client: CredentialClient | undefined;
    try {
      client = await session.connect();
      let fresh: WatchState | undefined = new WatchState();
      for await (const reply of client.stream('Watch', parameters, { timeoutMs: SILENCE_MAX_MS })) {
        if (fresh !== undefined) {
          fresh.apply(reply);
          if (!reply.settled) continue;
          const events = state.replaceWith(fresh);
          fresh = undefined;
          if (lost !== undefined) listener.onBack();
          lost = undefined;
          retryMs = RETRY_MIN_MS;
          if (isFirst || events.length > 0) yield { isFirst, events };
          isFirst = false;
        } else {
          yield { isFirst: false, events: state.apply(reply) };
        }
      }
    } catch (error) {
      const reason = passingReason(error);
      if (reason === undefined || (isFirst && !isPatient)) throw error;
      if (lost !== reason && reason !== 'busy') {
        lost = reason;
        listener.onLost(reason);
      }
    } finally {
      client?.close();
    }
    await pause(retryMs);
    retryMs = Math.min(2 * retryMs, RETRY_MAX_MS);
  }
}

/** Returns why the daemon cannot answer at present; undefined for an error that waiting does not help. */
export function passingReason(error: unknown): 'gone' | 'locked' | 'busy' | undefined {
  if (isCredentialError(error, 'Locked')) return 'locked';
  // A daemon that is stopping also answers Busy; if it does not come back, the next attempt shows it.
  if (isCredentialError(error, 'Busy')) return 'busy';
  return error instanceof ConnectionError && PASSING.has(error.reason) ? 'gone' : undefined;
}
