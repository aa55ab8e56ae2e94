import type { RepositoryConfig } from './config.ts';
import { isConfigLength, openConfig } from './config.ts';
import { isKeyName } from './key-file.ts';
import { openKey } from './master-key.ts';
import type { Refusal } from './refusal.ts';
import { wipeKey } from './sealed.ts';

/** What there is of a repository on a server that is not trusted. */
export interface RepositoryFiles {
  /** The bytes of `config`. */
  readonly config: Uint8Array;
  /** The names below `keys/`, in the order of the server's list: restic tries them in that order. */
  readonly keyNames: readonly string[];
  /** The bytes of `keys/<name>`; what it throws is thrown on. */
  readonly readKey: (name: string) => Promise<Uint8Array>;
}

/** As many keys as restic tries (`maxKeys`). */
export const KEYS_TRIED_MAX = 20;

/**
 * Proves that a password opens a repository, as restic does it: it opens one of the keys, and what that holds opens
 * `config`. One key is tried after the other, each for about half a second of work; the password stays the caller's.
 *
 * @throws the reason of `signal`, between two keys
 */
export async function openRepository(
  files: RepositoryFiles,
  password: Uint8Array,
  signal: AbortSignal,
): Promise<RepositoryConfig | Refusal> {
  const { config, keyNames, readKey } = files;
  if (!isConfigLength(config.length)) return { reason: 'not_a_repository', subject: 'config' };
  if (!keyNames.some(isKeyName)) return { reason: 'no_keys' };
  // Like in restic, a file that is no key counts too.
  for (const name of keyNames.slice(0, KEYS_TRIED_MAX).filter(isKeyName)) {
    signal.throwIfAborted();
    const master = await openKey(password, await readKey(name), name);
    if (!('reason' in master)) {
      try {
        return openConfig(master, config);
      } finally {
        wipeKey(master);
      }
    }
    if (master.reason !== 'wrong_password') return master;
  }
  const areMore = keyNames.length > KEYS_TRIED_MAX;
  return areMore ? { reason: 'too_many_keys', subject: String(KEYS_TRIED_MAX) } : { reason: 'wrong_password' };
}
