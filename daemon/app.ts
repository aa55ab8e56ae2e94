import { chmodSync, lstatSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { callerOf } from './access/caller.ts';
import { createDispatch } from './dispatch.ts';
import { hardenProcess, mayBeSwapped } from './kernel/hardening.ts';
import { lockPages } from './kernel/libc.ts';
import { readPeer } from './kernel/peer.ts';
import { UserDatabase } from './kernel/user-database.ts';
import { describeDefect } from './log.ts';
import type { Log } from './log.ts';
import type { Settings } from './settings.ts';
import { checkSocketPath, prepareRuntimeDirectory } from './socket/listen.ts';
import { VarlinkServer } from './socket/varlink-server.ts';
import { DirectoryLock } from './store/directory-lock.ts';
import type { SealedStore } from './store/sealed-store.ts';
import { SqliteStore } from './store/sqlite-store.ts';
import { describeSystemError } from './system-error.ts';
import { createFirstSlot } from './vault/first-slot.ts';
import { SlotKeeper } from './vault/slot-keeper.ts';
import type { SlotPlaces } from './vault/slot-keeper.ts';
import { Sodium } from './vault/sodium.ts';
import { Vault } from './vault/vault.ts';

const STORE_FILE = 'credentials.db';
const SOCKET_FILE = 'io.cio.Credentials';

/** A daemon that serves. */
export interface App {
  readonly socketPath: string;
  readonly isLocked: boolean;
  /** Answers what was asked, commits, and closes. */
  stop(): Promise<void>;
}

/** The state directory cannot be used, for the operator. */
export class StateDirectoryError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StateDirectoryError';
  }
}

/**
 * Makes a daemon of its parts, and starts it: the one place that wires.
 *
 * @throws StateDirectoryError, DirectoryLockError, StoreError, KeyFileError, ListenError, CredentialError
 */
export async function startApp(settings: Settings, version: string, log: Log): Promise<App> {
  const { isUndumpable, warnings } = hardenProcess();
  for (const warning of warnings) log.warning(warning);
  const socketPath = join(settings.runtimeDirectory, SOCKET_FILE);
  const storePath = join(settings.stateDirectory, STORE_FILE);
  checkSocketPath(socketPath);
  prepareStateDirectory(settings.stateDirectory);
  await using cleanup = new AsyncDisposableStack();
  cleanup.adopt(DirectoryLock.take(settings.stateDirectory), (lock) => lock.release());
  prepareRuntimeDirectory(settings.runtimeDirectory, settings.isPublic);
  if (settings.runtimeDirectory !== settings.stateDirectory) {
    cleanup.adopt(DirectoryLock.take(settings.runtimeDirectory), (lock) => lock.release());
  }

  const sodium = await Sodium.load();
  const areKeysLocked = lockKeys(sodium, log);
  const store: SealedStore = cleanup.adopt(SqliteStore.open(storePath), (open) => open.close());
  const places = { stateDirectory: settings.stateDirectory, credentialsDirectory: settings.credentialsDirectory };
  if (Vault.isEmpty(store)) await makeStore(store, storePath, sodium, places, log);
  const vault = new Vault(store, sodium, {
    onPurgeFailed: (error) => log.warning('deleted records may still be in the journal', describeDefect(error)),
  });
  cleanup.adopt(vault, (open) => open.close());
  const slots = new SlotKeeper(vault, sodium, places, Date.now);
  await unlockAtStart(slots, log);

  const context = {
    vault,
    slots,
    sodium,
    protection: { isUndumpable, areKeysLocked },
    now: Date.now,
    started: Date.now(),
    version,
  };
  const users = new UserDatabase();
  const ownUid = process.geteuid?.() ?? 0;
  const server = new VarlinkServer(
    (socket) => callerOf(readPeer(socket), users, ownUid),
    createDispatch(context, log),
    log,
  );
  await server.listen(socketPath, settings.isPublic);
  cleanup.adopt(server, (listening) => listening.stop());
  const lifetime = cleanup.move();
  return {
    socketPath,
    get isLocked() {
      return vault.isLocked;
    },
    stop: () => lifetime.disposeAsync(),
  };
}

/** Fills an empty file, and tells the operator what opens it. */
async function makeStore(
  store: SealedStore,
  storePath: string,
  sodium: Sodium,
  places: SlotPlaces,
  log: Log,
): Promise<void> {
  let newKeyFile: string | undefined;
  await Vault.create(store, sodium, async (storeId, rootKey) => {
    const first = await createFirstSlot(sodium, storeId, rootKey, places, Date.now());
    newKeyFile = first.newKeyFile;
    return first.slot;
  });
  log.info(`made a new store, ${storePath}`);
  if (newKeyFile !== undefined) {
    log.info(`made its key file, ${newKeyFile} (mode 0600): keep a copy elsewhere, nothing else opens the store`);
  }
}

/** Keys stay out of swap; what is read and written for callers may get there, where there is swap and the unit allows it. */
function lockKeys(sodium: Sodium, log: Log): boolean {
  if (mayBeSwapped()) log.warning('values in use may reach swap; in a unit, MemorySwapMax=0 forbids it');
  try {
    for (const memory of sodium.memory) lockPages(memory);
    return true;
  } catch (error) {
    log.warning('keys may reach swap: their memory cannot be locked', describeDefect(error));
    return false;
  }
}

/** A store that no slot opens by itself is served locked: an administrator unlocks it with a passphrase or a code. */
async function unlockAtStart(slots: SlotKeeper, log: Log): Promise<void> {
  const { opened, troubles } = await slots.unlockUnattended();
  for (const { slot, reason } of troubles)
    log.warning('a slot did not open', { slot: slot.id, kind: slot.kind, reason });
  if (opened === undefined) log.warning('the store is locked; open it with: cio credential unlock');
  else log.info('the store is open', { slot: opened.id, kind: opened.kind });
}

function prepareStateDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new StateDirectoryError(`cannot make the state directory ${path}: ${describeSystemError(error)}`, {
      cause: error,
    });
  }
  const stat = lstatSync(path);
  if (stat.uid !== process.geteuid?.()) {
    throw new StateDirectoryError(`the state directory ${path} belongs to another user (uid ${stat.uid})`);
  }
  if ((stat.mode & 0o022) !== 0) {
    throw new StateDirectoryError(`others may write to the state directory ${path}; mend it with: chmod 700 ${path}`);
  }
  if ((stat.mode & 0o077) !== 0) chmodSync(path, 0o700);
}
