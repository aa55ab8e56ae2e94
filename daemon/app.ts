import { chmodSync, lstatSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';

import { callerOf } from './access/caller.ts';
import { ChangedSets } from './access/changed-sets.ts';
import { WatchHub } from './access/watch-hub.ts';
import { createDispatch } from './dispatch.ts';
import { Announcer } from './health/announcer.ts';
import { HealthRecords } from './health/health-records.ts';
import { HealthSchedule } from './health/schedule.ts';
import { hardenProcess, mayBeSwapped } from './kernel/hardening.ts';
import type { InheritedSocket } from './kernel/inherited-sockets.ts';
import { lockPages, trimHeap } from './kernel/libc.ts';
import { readPeer } from './kernel/peer.ts';
import { connectServiceManager } from './kernel/service-manager.ts';
import type { ServiceManager } from './kernel/service-manager.ts';
import { startThreadPool } from './kernel/thread-pool.ts';
import { UserDatabase } from './kernel/user-database.ts';
import type { LoadRequest } from './load/address.ts';
import { answerLoad } from './load/answer.ts';
import type { LoadAnswer } from './load/answer.ts';
import { LoadServer } from './load/load-server.ts';
import { authenticateRequest } from './load/authenticate-request.ts';
import type { ServedManager } from './load/authenticate-request.ts';
import { PLAIN_WIRE, SEALED_WIRE } from './load/wire.ts';
import { Prober } from './probe/prober.ts';
import { connectProber, spawnProber } from './probe/start-prober.ts';
import { describeDefect } from './log.ts';
import type { Log } from './log.ts';
import { makeDirectories } from './make-directories.ts';
import { rateLimited } from './rate-limited-log.ts';
import { STORE_FILE } from './settings.ts';
import type { Settings } from './settings.ts';
import { checkSocketPath, prepareRuntimeDirectory } from './socket/listen.ts';
import { VarlinkServer } from './socket/varlink-server.ts';
import { SOCKET_FILES, placesOf } from './sockets.ts';
import { DirectoryLock } from './store/directory-lock.ts';
import { endInspections } from './store/inspect-pages.ts';
import type { SealedStore } from './store/sealed-store.ts';
import { SqliteStore } from './store/sqlite-store.ts';
import { StoreLock } from './store/store-lock.ts';
import { describeSystemError, errnoOf } from './system-error.ts';
import { Copies } from './vault/copies.ts';
import { createFirstSlot } from './vault/first-slot.ts';
import { removeTemporaryKeyFiles } from './vault/key-file.ts';
import { fillNewStore, isEmptyStore } from './vault/new-store.ts';
import { SHARED_SPACE } from './vault/records.ts';
import { SelfCheck } from './vault/self-check.ts';
import { SlotKeeper } from './vault/slot-keeper.ts';
import type { SlotPlaces } from './vault/slot-keeper.ts';
import { Sodium } from './vault/sodium.ts';
import { describeFailure } from './vault/store-failures.ts';
import { Vault } from './vault/vault.ts';

/** Name of the socket where systemd starts a prober for each connection. */
const PROBER_SOCKET = 'probe';

/**
 * Pings per time-out of the watchdog. sd_watchdog_enabled(3) advises two; but a disk whose syncs take ten seconds
 * blocks the event loop for twenty, which may begin just before a ping is due.
 */
const PINGS_PER_WATCHDOG_TIME = 6;

/** A daemon that serves. */
export interface App {
  readonly socketPath: string;
  readonly isLocked: boolean;
  /** Whether the administrators' space has any credentials; false while the store is locked. */
  readonly hasCredentials: boolean;
  /** Answers the calls already received, commits, and closes. */
  stop(): Promise<void>;
}

/** Why the state directory cannot be used, for the operator. */
export class StateDirectoryError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StateDirectoryError';
  }
}

/**
 * Builds the daemon from its parts and starts it. This is the only place that wires parts together.
 *
 * @throws StateDirectoryError, DirectoryLockError, StoreError, KeyFileError, ListenError, CredentialError,
 *   InheritedSocketError
 */
export async function startApp(
  settings: Settings,
  inherited: readonly InheritedSocket[],
  version: string,
  log: Log,
): Promise<App> {
  const manager = connectServiceManager(
    settings.notifySocket,
    (reason) =>
      log.warning('NOTIFY_SOCKET: systemd cannot be told that the daemon is ready, and may stop it', { reason }),
    storedConnections(inherited).map(({ name }) => name),
  );
  try {
    return await start(settings, inherited, version, log, manager);
  } catch (error) {
    await refuseStored(settings, inherited, log, manager);
    throw error;
  }
}

async function start(
  settings: Settings,
  inherited: readonly InheritedSocket[],
  version: string,
  log: Log,
  manager: ServiceManager,
): Promise<App> {
  const { isUndumpable, warnings } = hardenProcess();
  for (const warning of warnings) log.warning(warning);
  await startThreadPool();
  const places = placesOf(inherited, settings.runtimeDirectory);
  const storePath = join(settings.stateDirectory, STORE_FILE);
  for (const place of Object.values(places)) if (place !== undefined && 'path' in place) checkSocketPath(place.path);
  prepareStateDirectory(settings.stateDirectory);
  await using cleanup = new AsyncDisposableStack();
  cleanup.adopt(DirectoryLock.take(settings.stateDirectory), (lock) => lock.release());
  clearTemporaryKeys(settings.stateDirectory, log);
  const isActivated = inherited.some(({ isListening }) => isListening);
  if (!isActivated) {
    prepareRuntimeDirectory(settings.runtimeDirectory, settings.isPublic);
    if (settings.runtimeDirectory !== settings.stateDirectory) {
      cleanup.adopt(DirectoryLock.take(settings.runtimeDirectory), (lock) => lock.release());
    }
  }

  const sodium = await Sodium.load();
  const areKeysLocked = lockKeys(sodium, log);
  const storeLock = cleanup.adopt(new StoreLock(storePath), (lock) => lock.release());
  storeLock.take();
  const store: SealedStore = cleanup.adopt(SqliteStore.open(storePath), (open) => open.close());
  storeLock.take();
  const keyPlaces = { stateDirectory: settings.stateDirectory, credentialsDirectory: settings.credentialsDirectory };
  if (isEmptyStore(store)) await makeStore(store, storePath, sodium, keyPlaces, log);
  const rateLimitedLog = rateLimited(log);
  const vault = new Vault(store, sodium, {
    onPurgeFailed: (error) =>
      log.warning(
        'the WAL cannot be checkpointed, and may still contain deleted data; the daemon tries again',
        describeFailure(error),
      ),
    onPurged: () => log.info('the WAL was checkpointed'),
    onWatcherFailed: (error) => log.error('an action after a commit failed: internal error', describeDefect(error)),
    onCommitsAgain: () => rateLimitedLog.resolved('writes to the store succeed again', () => !vault.areCommitsFailing),
  });
  cleanup.adopt(vault, (open) => open.close());
  const slots = new SlotKeeper(vault, sodium, keyPlaces, Date.now);
  await unlockAtStart(slots, log);
  const copies = new Copies(vault, sodium, keyPlaces, Date.now);
  copies.clear();

  const users = new UserDatabase();
  const ownUid = process.geteuid?.() ?? 0;
  const served = servedManager(settings);
  const loadParts = {
    manager,
    log,
    identify: (socket: Socket) => authenticateRequest(socket, readPeer(socket), served),
    answer: (request: LoadRequest) => answerLoad(vault, request),
  };
  const loadServers = {
    load: new LoadServer({ ...loadParts, wire: PLAIN_WIRE }),
    'load-encrypted': new LoadServer({ ...loadParts, wire: SEALED_WIRE }),
  };
  const countWaiting = (): number => Object.values(loadServers).reduce((sum, server) => sum + server.waiting, 0);
  const prober = new Prober(
    isActivated ? connectProber(join(settings.runtimeDirectory, PROBER_SOCKET)) : spawnProber(),
  );
  const health = new HealthRecords(vault, log, Date.now);
  const announcer = new Announcer(log, vault, Date.now);
  const selfCheck = new SelfCheck(vault, {
    onDamaged: () =>
      log.error('the store is not as last committed: records are missing or out of date; see: cio credential fsck'),
    onFailed: (error) => log.warning('the store could not be checked; the daemon tries again', describeFailure(error)),
  });
  cleanup.defer(() => selfCheck.stop());
  const context = {
    vault,
    watches: new WatchHub(vault),
    changedSets: new ChangedSets(vault),
    slots,
    copies,
    selfCheck,
    prober,
    health,
    announcer,
    validateEveryMs: settings.validateEveryMs,
    sodium,
    protection: { isUndumpable, areKeysLocked },
    now: Date.now,
    started: Date.now(),
    version,
    stateDirectory: settings.stateDirectory,
    countWaiting,
  };
  const varlinkServer = new VarlinkServer(
    (socket) => callerOf(readPeer(socket), users, ownUid),
    createDispatch(context, log, rateLimitedLog),
    log,
  );
  // Also ends the inspections that callers start while the server stops: closing the vault waits for them.
  cleanup.defer(endInspections);
  cleanup.defer(() => varlinkServer.stop());
  if (places.varlink !== undefined) await varlinkServer.listen(places.varlink, settings.isPublic);
  if (settings.validateEveryMs !== undefined) {
    const parts = { vault, prober, health, announcer, log, now: Date.now, everyMs: settings.validateEveryMs };
    const schedule = new HealthSchedule(parts);
    cleanup.defer(() => schedule.stop());
    schedule.start();
  }
  // Stopped before the server and the schedule above: a waiting unit must be refused whatever becomes of this process,
  // and however long the rest of the shutdown takes.
  cleanup.defer(() => stopAll(Object.values(loadServers)));
  for (const [name, server] of Object.entries(loadServers)) {
    const place = places[name as keyof typeof loadServers];
    if (place !== undefined) await server.listen(place);
  }
  // Adopted last, when nothing can fail any more: until then systemd keeps these connections.
  for (const socket of storedConnections(inherited)) {
    const owner = Object.values(loadServers).find((server) => server.owns(socket));
    (owner ?? loadServers.load).adopt(socket);
  }
  cleanup.defer(
    vault.watch(() => {
      for (const server of Object.values(loadServers)) server.recheck();
    }),
  );
  selfCheck.start();
  cleanup.defer(endInspections);
  cleanup.defer(() => slots.stop());
  reportToServiceManager(manager, vault, settings.watchdogMs, log, cleanup);
  // Returns to the kernel the half MiB that the start has freed between allocations that stay.
  trimHeap();
  const lifetime = cleanup.move();
  return {
    socketPath: join(settings.runtimeDirectory, SOCKET_FILES.varlink),
    get isLocked() {
      return vault.isLocked;
    },
    get hasCredentials() {
      return !vault.isLocked && vault.read((reader) => (reader.principal(SHARED_SPACE)?.count ?? 0) > 0);
    },
    stop: () => lifetime.disposeAsync(),
  };
}

/** Stops the servers in parallel: the peers of each may take long to read their answers. */
async function stopAll(servers: readonly LoadServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}

/** Returns the connections that an earlier daemon process left with the service manager. */
function storedConnections(inherited: readonly InheritedSocket[]): InheritedSocket[] {
  return inherited.filter(({ isListening }) => !isListening);
}

function servedManager({ isPublic }: Settings): ServedManager {
  return { kind: isPublic ? 'system' : 'user', uid: process.geteuid?.() ?? 0 };
}

/**
 * Refuses the units that are waiting when the daemon fails to start. Stopping the failed service would otherwise close
 * their connections, and the units would start with empty secrets.
 */
async function refuseStored(
  settings: Settings,
  inherited: readonly InheritedSocket[],
  log: Log,
  manager: ServiceManager,
): Promise<void> {
  const stored = storedConnections(inherited);
  if (stored.length === 0) return;
  const identify = (socket: Socket): LoadRequest =>
    authenticateRequest(socket, readPeer(socket), servedManager(settings));
  const answer = (): LoadAnswer => ({ kind: 'refused', reason: 'StorageFailed' });
  const server = new LoadServer({ manager, log, identify, answer, wire: SEALED_WIRE });
  for (const socket of stored) server.adopt(socket);
  await server.stop();
}

/**
 * Reports to the service manager that the daemon is ready, whether the store is locked, and (watchdog) that it is
 * alive.
 */
function reportToServiceManager(
  manager: ServiceManager,
  vault: Vault,
  watchdogMs: number | undefined,
  log: Log,
  cleanup: AsyncDisposableStack,
): void {
  let reported = describeStatus(vault);
  manager.ready(reported);
  cleanup.defer(
    vault.watch(() => {
      const status = describeStatus(vault);
      if (status !== reported) manager.status(status);
      reported = status;
    }),
  );
  if (watchdogMs !== undefined) {
    const timer = startPings(manager, watchdogMs / PINGS_PER_WATCHDOG_TIME, log);
    cleanup.defer(() => clearInterval(timer));
  }
  cleanup.defer(() => manager.stopping());
}

/**
 * Starts the watchdog's pings, and logs when a whole interval was missed: no caller was answered meanwhile, and a slow
 * disk reports no error.
 */
function startPings(manager: ServiceManager, everyMs: number, log: Log): NodeJS.Timeout {
  let last = performance.now();
  return setInterval(() => {
    manager.pingWatchdog();
    const silenceMs = performance.now() - last;
    last += silenceMs;
    if (silenceMs < 2 * everyMs) return;
    const seconds = Number((silenceMs / 1000).toFixed(1));
    log.warning('no call was answered for a while: the disk of the store, or this host, is slow', { seconds });
  }, everyMs);
}

function describeStatus(vault: Vault): string {
  return vault.isLocked ? 'The store is locked; open it with: cio credential unlock' : 'The store is open';
}

/** Makes a new store in an empty file, and tells the operator what opens it. */
async function makeStore(
  store: SealedStore,
  storePath: string,
  sodium: Sodium,
  places: SlotPlaces,
  log: Log,
): Promise<void> {
  let newKeyFile: string | undefined;
  let kind: string | undefined;
  await fillNewStore(store, sodium, async (storeId, rootKey) => {
    const first = await createFirstSlot(sodium, storeId, rootKey, places, Date.now());
    newKeyFile = first.newKeyFile;
    kind = first.slot.kind;
    return first.slot;
  });
  log.info(`made a new store, ${storePath}`);
  if (newKeyFile !== undefined) {
    log.info(`made its key file, ${newKeyFile} (mode 0600): keep a copy elsewhere, nothing else opens the store`);
  } else if (kind === 'keyfile') {
    log.warning(
      'its key file existed before: if there was a store as well, restore it from a copy: docs/disaster-recovery.md',
    );
  }
}

/**
 * Locks the memory of keys, so that they stay out of swap. Values read and written for callers may still reach swap, if
 * there is swap and the unit allows it.
 *
 * @returns whether the keys are locked
 */
function lockKeys(sodium: Sodium, log: Log): boolean {
  if (mayBeSwapped()) log.warning('values in use may reach swap; in a unit, MemorySwapMax=0 forbids it');
  try {
    for (const memory of sodium.memory) lockPages(memory);
    return true;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    const reason = `${describeSystemError(error)} (LimitMEMLOCK=, ulimit -l)`;
    log.warning('keys may reach swap: their memory cannot be locked', { reason });
    return false;
  }
}

/**
 * Unlocks the store with a slot that needs nobody's help. If there is none, the store is served locked, and an
 * administrator unlocks it with a passphrase or a code.
 */
async function unlockAtStart(slots: SlotKeeper, log: Log): Promise<void> {
  const { opened, troubles } = await slots.unlockUnattended();
  for (const { slot, reason } of troubles)
    log.warning('a slot did not unlock the store', { slot: slot.id, kind: slot.kind, reason });
  if (opened === undefined) log.warning('the store is locked; open it with: cio credential unlock');
  else log.info('the store is open', { slot: opened.id, kind: opened.kind });
}

/** Removes keys that a killed daemon was about to store. If that fails, the store can be used all the same. */
function clearTemporaryKeys(stateDirectory: string, log: Log): void {
  try {
    removeTemporaryKeyFiles(stateDirectory);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    log.warning('a temporary key file of a daemon that was killed cannot be removed; remove root.key.*.tmp', {
      reason: describeSystemError(error),
    });
  }
}

function prepareStateDirectory(path: string): void {
  onStateDirectory(path, 'make', () => makeDirectories(path, 0o700));
  const stat = onStateDirectory(path, 'look at', () => lstatSync(path));
  if (stat.isSymbolicLink()) {
    throw new StateDirectoryError(
      `the state directory ${path} is a symbolic link; give the directory that it points to`,
    );
  }
  if (stat.uid !== process.geteuid?.()) {
    throw new StateDirectoryError(`the state directory ${path} belongs to another user (uid ${stat.uid})`);
  }
  if ((stat.mode & 0o022) !== 0) {
    throw new StateDirectoryError(`others may write to the state directory ${path}; fix it with: chmod 700 ${path}`);
  }
  if ((stat.mode & 0o077) === 0) return;
  onStateDirectory(path, 'close to others', () => chmodSync(path, 0o700));
  // On some file systems chmod(2) succeeds but changes nothing (vfat, some of FUSE).
  if ((lstatSync(path).mode & 0o077) !== 0) {
    throw new StateDirectoryError(`others may read the state directory ${path}: its file system keeps no modes`);
  }
}

function onStateDirectory<T>(path: string, what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new StateDirectoryError(`cannot ${what} the state directory ${path}: ${describeSystemError(error)}`, {
      cause: error,
    });
  }
}
