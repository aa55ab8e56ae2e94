import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';

import Database from 'better-sqlite3';

import type { Log } from './log.ts';
import { STORE_FILE } from './settings.ts';
import type { SalvageSettings } from './settings.ts';
import { DirectoryLock } from './store/directory-lock.ts';
import { walOf } from './store/database-file.ts';
import { PageFile } from './store/page-file.ts';
import { salvage } from './store/salvage.ts';
import { StoreError } from './store/sealed-store.ts';
import { StoreLock } from './store/store-lock.ts';

/**
 * Makes a new store from what can be read of a damaged one, in a state directory that has no store and no running
 * daemon. Needs no key. As root, the process becomes the owner of the state directory once the damaged file is open, so
 * that the new store belongs to that user.
 *
 * @throws StoreError, DirectoryLockError
 */
export function salvageStore({ stateDirectory, damaged, keysFrom }: SalvageSettings, log: Log): void {
  using cleanup = new DisposableStack();
  // A daemon that has the store open would checkpoint its WAL while it is read.
  for (const source of [damaged, keysFrom].filter((path) => path !== undefined)) {
    cleanup.adopt(new StoreLock(source), (lock) => lock.release()).take();
  }
  const file = cleanup.adopt(PageFile.open(damaged), (open) => open.close());
  const copy = keysFrom === undefined ? undefined : cleanup.adopt(PageFile.open(keysFrom), (open) => open.close());
  // SQLite's library is loaded at the first use, and the owner may not be able to reach it, as in a home directory.
  new Database(':memory:').close();
  becomeOwnerOf(stateDirectory);
  cleanup.adopt(DirectoryLock.take(stateDirectory), (lock) => lock.release());
  const path = join(stateDirectory, STORE_FILE);
  for (const present of [path, walOf(path)].filter((place) => existsSync(place))) {
    throw new StoreError('io', `${present} exists already: move the damaged store away first, with its WAL`);
  }
  if (file.isWalLost)
    log.warning(`${walOf(damaged)} is damaged or cannot be read: a part of its contents, or all, may be lost`);
  const { records, doubtful } = salvage(file, copy, path);
  if (file.unreadable > 0) log.warning(`${file.unreadable} pages could not be read from the disk`);
  if (doubtful > 0)
    log.warning(`${doubtful} records were left out: there are two versions of each, and either may be the older one`);
  log.info(
    `made ${path} from the ${records} records that were found; start the daemon, then: cio credential fsck --repair`,
  );
}

function becomeOwnerOf(directory: string): void {
  const owner = statSync(directory, { throwIfNoEntry: false });
  if (process.geteuid?.() !== 0 || owner === undefined || owner.uid === 0) return;
  process.setgroups?.([]);
  process.setgid?.(owner.gid);
  process.setuid?.(owner.uid);
}
