import type { RepositoryConfig } from './config.ts';
import { isConfigLength, openConfig } from './config.ts';
import { isKeyName } from './key-file.ts';
import { openKey } from './master-key.ts';
import type { Refusal } from './refusal.ts';
import { wipeKey } from './sealed.ts';

/** The files that are needed to open a repository. They come from a server that is not trusted. */
export interface RepositoryFiles {
  /** The bytes of `config`. */
  readonly config: Uint8Array;
  /** The names below `keys/`, in the order of the server's list: restic tries them in that order. */
  readonly keyNames: readonly string[];
  /** Returns the bytes of `keys/<name>`. Its errors are passed on. */
  readonly readKey: (name: string) => Promise<Uint8Array>;
}

/** Number of keys that restic tries (`maxKeys`). */
export const KEYS_TRIED_MAX = 20;

/**
 * Proves that a password opens a repository, in the same way as restic: the password decrypts one of the key files, and
 * the master key in that decrypts `config`. Keys are tried one after the other, each with about half a second of work.
 * The caller keeps the password, and wipes it.
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
  // As in restic, a file that is not a key counts towards the limit.
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
