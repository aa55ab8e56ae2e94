import { readFileSync, realpathSync, statfsSync, statSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import type { FileFacts, StoreFacts } from '../facts.ts';
import { DATABASE, ROOT_KEY_CREDENTIAL_PATH, STORE_FILES } from '../places.ts';
import type { Seen } from '../verdict.ts';
import { codeOf, lookAt, reasonFor, trySee } from './files.ts';
import { mountOf } from './mounts.ts';

/**
 * Looks at the state directory, as far as the caller may.
 *
 * @param pid of the daemon, for which that path may be another directory, through BindPaths= or a root of its own
 */
export function lookAtStore(stateDirectory: string, pid: number): StoreFacts {
  const own = `/proc/${pid}/root${stateDirectory}`;
  const isOther = trySee(own, () => !isSame(statSync(own), statSync(stateDirectory, { throwIfNoEntry: false })));
  const path = 'value' in isOther && isOther.value ? own : stateDirectory;
  return {
    directory: lookAt(path),
    files: lookAtFiles(path),
    mount:
      path === own
        ? lookAtMount(path, `/proc/${pid}`, () => stateDirectory)
        : lookAtMount(path, '/proc/self', () => realpathSync(path)),
    freeBytes: trySee(path, () => {
      const { bavail, bsize } = statfsSync(path);
      return bavail * bsize;
    }),
    databaseBytes: trySee(path, () => statSync(join(path, DATABASE), { throwIfNoEntry: false })?.size ?? 0),
    hasSystemdKey: trySee(ROOT_KEY_CREDENTIAL_PATH, () => {
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

function isSame(one: Stats, other: Stats | undefined): boolean {
  return one.dev === other?.dev && one.ino === other.ino;
}

/** @param placeOf returns the path without symbolic links, as that process sees it */
function lookAtMount(path: string, process: string, placeOf: () => string): StoreFacts['mount'] {
  try {
    const mount = mountOf(readFileSync(`${process}/mountinfo`, 'utf8'), placeOf());
    return mount === undefined ? { unseen: `the file system of ${path} is not known` } : { value: mount };
  } catch (error) {
    return { unseen: reasonFor(path, error) };
  }
}
