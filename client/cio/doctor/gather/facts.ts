import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { homeDirectory } from '../../../../src/home-directory.ts';
import type { DaemonAnswer, Facts, SocketFacts, UnitScan } from '../facts.ts';
import { LOAD_SOCKETS, PROBE_SOCKET, SERVICE_USER, SYSTEM_RUNTIME } from '../places.ts';
import type { Seen } from '../verdict.ts';
import { lookAtClock } from './clock.ts';
import { lookAt, trySee } from './files.ts';
import { holdsSocket, lookAtProcess } from './process.ts';
import { lookAtEnvironmentFiles, lookAtSecretFiles } from './secret-files.ts';
import { lookAtStore } from './store.ts';
import { lookAtSwap } from './swap.ts';
import { lookAtSystemd } from './systemd.ts';
import { scanUnits, userFolders } from './units.ts';

const SILENT = { unseen: 'the daemon does not answer' } as const;

/**
 * Gathers all facts about the host. Changes nothing and never throws: what cannot be seen is recorded with its reason.
 *
 * @param version of this `cio`
 */
export function gatherFacts(daemon: DaemonAnswer, version: string): Facts {
  const uid = process.geteuid?.() ?? 0;
  const status = daemon.kind === 'answered' ? daemon.status : undefined;
  const systemd = lookAtSystemd();
  const directory = status?.stateDirectory;
  const units = scanUnits();
  return {
    caller: { uid, version, serviceUid: serviceUid() },
    daemon,
    sockets: lookAtSockets(daemon),
    process: status === undefined ? SILENT : lookAtProcess(status.pid, status.uid),
    systemd,
    swap: lookAtSwap(),
    store:
      status === undefined
        ? SILENT
        : typeof directory === 'string'
          ? { value: lookAtStore(directory, status.pid) }
          : { unseen: 'only administrators can see where the store is' },
    clock: lookAtClock(systemd.isRunning),
    units,
    userUnits: lookAtUserUnits(daemon),
    secretFiles: [...lookAtSecretFiles(uid), ...lookAtEnvironmentFiles(units)],
  };
}

function lookAtSockets(daemon: DaemonAnswer): Seen<SocketFacts> {
  if (daemon.socket === undefined) return SILENT;
  const folder = dirname(daemon.socket);
  const [load, loadEncrypted] = LOAD_SOCKETS.map(({ name }) => lookAt(join(folder, name)));
  return {
    value: {
      folder: lookAt(folder),
      varlink: lookAt(join(folder, basename(daemon.socket))),
      load: load ?? SILENT,
      loadEncrypted: loadEncrypted ?? SILENT,
      probe: lookAt(join(folder, PROBE_SOCKET.name)),
      isHeldByDaemon: daemon.kind === 'answered' ? holdsSocket(daemon.status.pid, daemon.socket) : SILENT,
    },
  };
}

/** Scans the units of the caller's user manager, if the daemon's socket is in the folder that `%t` means to them. */
function lookAtUserUnits({ socket = '' }: DaemonAnswer): UnitScan | undefined {
  const runtime = process.env['XDG_RUNTIME_DIR'];
  const home = homeDirectory(process.env, homedir);
  const folder = dirname(socket);
  if (!runtime || home === undefined || folder === SYSTEM_RUNTIME) return undefined;
  if (folder !== join(runtime, basename(SYSTEM_RUNTIME))) return undefined;
  return scanUnits('', userFolders(process.env, home, runtime));
}

/** Looks the service's user up in /etc/passwd alone: the package creates it there. */
function serviceUid(): number | undefined {
  const text = trySee('/etc/passwd', () => readFileSync('/etc/passwd', 'utf8'));
  const line = 'value' in text ? text.value.split('\n').find((each) => each.startsWith(`${SERVICE_USER}:`)) : undefined;
  return line === undefined ? undefined : Number(line.split(':')[2]);
}
