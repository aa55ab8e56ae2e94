import { setTimeout as pause } from 'node:timers/promises';
import { isCredentialError } from '../../../src/errors.ts';
import type { WatchIn } from '../../../src/protocol/interface.generated.ts';
import type { CredentialClient } from '../../client.ts';
import { ConnectionError } from '../../connection-error.ts';
import type { Session } from '../session.ts';
import { Picture, type Told } from './picture.ts';

/** Nothing may change for weeks. It is the longest time that a timer of Node has. */
const SILENCE_MAX_MS = 0x7fff_ffff;

/** How soon a daemon that went away is looked for again; each time twice as long, up to the other. */
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2000;

/** How soon something is asked for again that the daemon, told of as gone or locked, could not be asked for. */
export const ASK_AGAIN_MS: number = RETRY_MAX_MS;

/** Why a daemon cannot be listened to, for now: it will be again. */
const PASSING: ReadonlySet<string> = new Set(['not_found', 'refused', 'closed', 'timed_out', 'failed']);

/** What a follower hears besides the changes. */
export interface FollowEvents {
  /** Why nothing is heard for now; once for each time. */
  onLost(reason: 'gone' | 'locked'): void;
  onBack(): void;
}

/** What is told at once: the state to begin with, or changes. */
export interface Telling {
  readonly isFirst: boolean;
  readonly told: readonly Told[];
}

/**
 * What there is, and then what changes, for ever: where the daemon goes away, or locks its store, it is waited for, and
 * what is different then is told like any other change.
 *
 * @param isPatient waits for the daemon from the start
 * @throws CredentialError, ConnectionError what is not waited for; without `isPatient`, whatever keeps it from beginning
 */
export async function* follow(
  session: Session,
  parameters: WatchIn,
  events: FollowEvents,
  isPatient = false,
): AsyncGenerator<Telling, never, undefined> {
  const picture = new Picture();
  let isFirst = true;
  let retryMs = RETRY_MIN_MS;
  let lost: 'gone' | 'locked' | undefined;
  for (;;) {
    let client: CredentialClient | undefined;
    try {
      client = await session.connect();
      let fresh: Picture | undefined = new Picture();
      for await (const reply of client.stream('Watch', parameters, { timeoutMs: SILENCE_MAX_MS })) {
        if (fresh !== undefined) {
          fresh.apply(reply);
          if (!reply.settled) continue;
          const told = picture.become(fresh);
          fresh = undefined;
          if (lost !== undefined) events.onBack();
          lost = undefined;
          retryMs = RETRY_MIN_MS;
          if (isFirst || told.length > 0) yield { isFirst, told };
          isFirst = false;
        } else {
          yield { isFirst: false, told: picture.apply(reply) };
        }
      }
    } catch (error) {
      const reason = passingReason(error);
      if (reason === undefined || (isFirst && !isPatient)) throw error;
      if (lost !== reason && reason !== 'busy') {
        lost = reason;
        events.onLost(reason);
      }
    } finally {
      client?.close();
    }
    await pause(retryMs);
    retryMs = Math.min(2 * retryMs, RETRY_MAX_MS);
  }
}

/** Why there is no answer for now; undefined for what does not pass by waiting. */
export function passingReason(error: unknown): 'gone' | 'locked' | 'busy' | undefined {
  if (isCredentialError(error, 'Locked')) return 'locked';
  // A daemon that stops says so too; if it does not come back, the next attempt tells.
  if (isCredentialError(error, 'Busy')) return 'busy';
  return error instanceof ConnectionError && PASSING.has(error.reason) ? 'gone' : undefined;
}
