import { readFileSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { FileFacts, StoreFacts } from '../facts.ts';
import { DATABASE, ROOT_KEY_CREDENTIAL_PATH, STORE_FILES } from '../places.ts';
import type { Seen } from '../verdict.ts';
import { attempt, codeOf, lookAt, reasonFor } from './files.ts';
import { mountOf } from './mounts.ts';

/** Looks at the state directory, as far as the caller may. */
export function lookAtStore(path: string): StoreFacts {
  return {
    directory: lookAt(path),
    files: lookAtFiles(path),
    mount: lookAtMount(path),
    freeBytes: attempt(path, () => {
      const { bavail, bsize } = statfsSync(path);
      return bavail * bsize;
    }),
    databaseBytes: attempt(path, () => statSync(join(path, DATABASE), { throwIfNoEntry: false })?.size ?? 0),
    hasSystemdKey: attempt(ROOT_KEY_CREDENTIAL_PATH, () => {
      try {
        return statSync(ROOT_KEY_CREDENTIAL_PATH).isFile();
      } catch (error) {
        if (codeOf(error) === 'ENOENT') return false;
        throw error;
      }
    }),
  };
}

function lookAtFiles(path: string): Seen<readonly FileFacts[]> {
  const files: FileFacts[] = [];
  for (const name of STORE_FILES) {
    const seen = lookAt(join(path, name));
    if ('unseen' in seen) return seen;
    if (seen.value !== undefined) files.push(seen.value);
  }
  return { value: files };
}

function lookAtMount(path: string): StoreFacts['mount'] {
  try {
    const mount = mountOf(readFileSync('/proc/self/mountinfo', 'utf8'), realpathSync(path));
    return mount === undefined ? { unseen: `the file system of ${path} is not known` } : { value: mount };
  } catch (error) {
    return { unseen: reasonFor(path, error) };
  }
}
