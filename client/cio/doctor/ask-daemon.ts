import { EXIT } from '../../../src/errors.ts';
import { ConnectionError } from '../../connection-error.ts';
import type { CredentialClient } from '../../client.ts';
import { explain } from '../messages.ts';
import type { Session } from '../session.ts';
import type { DaemonAnswer, StoredNames } from './facts.ts';
import type { Seen } from './verdict.ts';

/** A healthy daemon answers in microseconds. */
const TIMEOUT_MS = 5000;

/** The maximum number of credentials that are read: they take some seconds, and some 10 MiB of memory. */
const CREDENTIALS_MAX = 50_000;

/** Time limit for reading the list: the peer may not be the daemon, and may send without end. */
const LIST_TIME_MAX_MS = 10_000;

/** Asks the daemon for its status and its list of credentials. A failure is a `silent` answer and is not thrown. */
export async function askDaemon(session: Session): Promise<DaemonAnswer> {
  try {
    return await session.withClient(async (client) => {
      const status = await client.call('Status', {});
      const list = await listNames(client, status.administrator);
      return { kind: 'answered', socket: client.socket, status, list };
    }, TIMEOUT_MS);
  } catch (error) {
    const { exit, message, hint } = explain(error);
    const { socket, reason } = error instanceof ConnectionError ? error : {};
    const isAbsent = reason === 'not_found' || reason === 'refused';
    return { kind: 'silent', socket, message, hint, isAbsent, isReachable: exit !== EXIT.notReachable };
  }
}

async function listNames(client: CredentialClient, isAdministrator: boolean): Promise<Seen<StoredNames>> {
  const credentials: StoredNames['credentials'][number][] = [];
  const sets: StoredNames['sets'][number][] = [];
  const started = performance.now();
  try {
    for await (const reply of client.stream('List', { allOwners: isAdministrator })) {
      for (const { name, owner, changed, set, grants } of reply.credentials) {
        credentials.push({ name, owner, changed, set: set ?? null, grants: grants ?? null });
      }
      if (credentials.length > CREDENTIALS_MAX) {
        return { unseen: `there are more than ${CREDENTIALS_MAX} credentials, too many to look at` };
      }
      if (performance.now() - started > LIST_TIME_MAX_MS) {
        return { unseen: `the credentials cannot be listed within ${LIST_TIME_MAX_MS / 1000} s` };
      }
      for (const { set, owner, ready, missing, grants } of reply.sets) {
        sets.push({ set, owner, ready, missing, grants: grants ?? null });
      }
    }
  } catch (error) {
    return { unseen: `the credentials cannot be listed: ${explain(error).message}` };
  }
  return { value: { credentials, sets } };
}
