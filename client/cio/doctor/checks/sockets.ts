import { dirname } from 'node:path';
import { quoteIfNeeded } from '../../../../src/forms/shell.ts';
import { SOCKET_PATH_BYTES_MAX } from '../../../../src/limits.ts';
import type { Facts, FileFacts, SeenFile, SocketFacts, SystemdFacts } from '../facts.ts';
import { isInService } from '../in-service.ts';
import { unmask } from '../fixes.ts';
import { octal } from '../octal.ts';
import { LOAD_SOCKETS, PROBE_SOCKET, SOCKET_UNIT, SYSTEM_RUNTIME } from '../places.ts';
import { Notes, type Verdict } from '../verdict.ts';

/** Write permission of the group and of others. */
const WRITABLE_BY_OTHERS = 0o022;
const OPEN_TO_OTHERS = 0o077;
const PUBLIC_SOCKET = 0o666;
const PRIVATE_SOCKET = 0o600;
const PASSABLE_BY_ALL = 0o011;

/** A socket that only one peer may connect to. */
interface ClosedSocket {
  readonly name: string;
  readonly unit: string;
  /** The consequence if the socket is missing, and the one if others can connect to it. */
  readonly loss: string;
  readonly exposure: string;
}

const FOR_SYSTEMD = {
  loss: 'units that load a credential from it do not start',
  exposure: 'it is for systemd alone; others can send requests to it, and use up its connections',
} as const;
const FOR_DAEMON = {
  loss: 'no set of credentials can be validated',
  exposure: 'it is for the daemon alone; others can make this host contact servers, and hold up its validations',
} as const;

/** Checks whether the sockets exist where they should, and only the intended callers can connect to them. */
export function checkSockets(facts: Facts): Verdict {
  const { daemon, sockets, caller, systemd } = facts;
  const notes = new Notes();
  if (daemon.socket === undefined) {
    notes.skip('the socket of the daemon is not known');
    return notes;
  }
  checkLength(notes, daemon.socket);
  const seen = notes.see(sockets);
  if (seen === undefined) return notes;
  const isSystem = dirname(daemon.socket) === SYSTEM_RUNTIME;
  const daemonUid = daemon.kind === 'answered' ? daemon.status.uid : undefined;
  const isAbsent = daemon.kind === 'silent' && daemon.isAbsent;
  checkFolder(notes, seen, { isSystem, uids: [0, daemonUid ?? caller.uid, caller.serviceUid] });
  // A daemon of root's outside the system's folder may serve all users, or root alone.
  const modes = isSystem ? [PUBLIC_SOCKET] : daemonUid === 0 ? [PUBLIC_SOCKET, PRIVATE_SOCKET] : [PRIVATE_SOCKET];
  checkVarlink(notes, seen.varlink, modes, isSystem && systemd.isRunning ? systemd : undefined);
  const isExpected = isSystem && systemd.isRunning && !isAbsent;
  const [load, loadEncrypted] = LOAD_SOCKETS;
  checkClosed(notes, seen.load, { ...load, ...FOR_SYSTEMD, isExpected }, systemd);
  checkClosed(notes, seen.loadEncrypted, { ...loadEncrypted, ...FOR_SYSTEMD, isExpected }, systemd);
  checkClosed(notes, seen.probe, { ...PROBE_SOCKET, ...FOR_DAEMON, isExpected }, systemd);
  // A daemon that systemd did not start listens itself, whatever the socket unit's state; checkDaemon() has it stopped.
  const isByHand = daemon.kind === 'answered' && 'value' in facts.process && !isInService(facts.process);
  if (isExpected) checkListening(notes, isByHand ? { ...seen, varlink: { value: undefined } } : seen, systemd);
  return notes;
}

function checkLength(notes: Notes, path: string): void {
  const bytes = Buffer.byteLength(path);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return;
  notes.error(
    `the path ${path} is ${bytes} bytes long`,
    `the kernel takes ${SOCKET_PATH_BYTES_MAX}: give the daemon a shorter --runtime-dir, and cio the same in CIO_RUNTIME_DIR`,
  );
}

function checkFolder(
  notes: Notes,
  { folder }: SocketFacts,
  { isSystem, uids }: { readonly isSystem: boolean; readonly uids: readonly (number | undefined)[] },
): void {
  const file = notes.see(folder);
  if (file === undefined) {
    if ('value' in folder) notes.skip('the folder of the sockets does not exist');
    return;
  }
  const { path, kind, uid, mode } = file;
  if (kind !== 'directory') {
    notes.error(`${path} is not a directory`, 'whoever made it decides where the sockets lead');
    return;
  }
  if (!uids.includes(uid)) {
    notes.error(`${path} belongs to uid ${uid}`, "its owner can put another socket in place of the daemon's");
  }
  if ((mode & WRITABLE_BY_OTHERS) !== 0) {
    notes.error(
      `${path} has mode ${octal(mode)}: others can write there`,
      'whoever can write there can pose as the daemon, and receive what you store',
      `chmod go-w ${quoteIfNeeded(path)}`,
    );
  } else if (isSystem && (mode & PASSABLE_BY_ALL) !== PASSABLE_BY_ALL) {
    notes.warning(
      `${path} has mode ${octal(mode)}`,
      'users cannot reach the daemon through it',
      `chmod 0755 ${quoteIfNeeded(path)}`,
    );
  }
}

function checkVarlink(notes: Notes, seen: SeenFile, modes: readonly number[], systemd?: SystemdFacts): void {
  const file = notes.see(seen);
  if (file === undefined) {
    if ('value' in seen) notes.skip('the socket does not exist');
    return;
  }
  if (!isSocket(notes, file)) return;
  if (modes.includes(file.mode)) return;
  const [wanted = PRIVATE_SOCKET] = modes;
  const fix = systemd ? makeAnew(SOCKET_UNIT, systemd) : `chmod ${octal(wanted)} ${quoteIfNeeded(file.path)}`;
  const what = `${file.path} has mode ${octal(file.mode)}, not ${octal(wanted)}`;
  if (wanted === PUBLIC_SOCKET) {
    notes.warning(what, 'users who were granted something cannot reach the daemon', fix);
  } else {
    notes.warning(what, 'other users can reach a daemon that is yours alone', fix);
  }
}

function checkClosed(
  notes: Notes,
  seen: SeenFile,
  { name, unit, isExpected, loss, exposure }: ClosedSocket & { readonly isExpected: boolean },
  systemd: SystemdFacts,
): void {
  const isSeen = 'value' in seen;
  const file = notes.see(seen);
  if (file === undefined) {
    if (!isSeen || !isExpected) return;
    notes.warning(`there is no socket ${SYSTEM_RUNTIME}/${name}`, loss, listenAgain(unit, propertiesOf(unit, systemd)));
    return;
  }
  if (!isSocket(notes, file) || (file.mode & OPEN_TO_OTHERS) === 0) return;
  notes.error(
    `${file.path} has mode ${octal(file.mode)}, not 0600`,
    exposure,
    isExpected ? makeAnew(unit, systemd) : `chmod 0600 ${quoteIfNeeded(file.path)}`,
  );
}

/** Checks whether systemd listens on the sockets: the file of a socket stays after its unit has stopped. */
function checkListening(notes: Notes, seen: SocketFacts, { service, socketUnits }: SystemdFacts): void {
  const units = notes.see(socketUnits);
  const isServiceEnabled = 'value' in service && service.value.get('UnitFileState') === 'enabled';
  for (const [file, unit, loss] of [
    [seen.varlink, SOCKET_UNIT, 'nobody can reach the daemon'],
    [seen.load, LOAD_SOCKETS[0].unit, FOR_SYSTEMD.loss],
    [seen.loadEncrypted, LOAD_SOCKETS[1].unit, FOR_SYSTEMD.loss],
    [seen.probe, PROBE_SOCKET.unit, FOR_DAEMON.loss],
  ] as const) {
    const properties = units?.get(unit);
    if (properties === undefined || !('value' in file) || file.value === undefined) continue;
    const state = properties.get('UnitFileState');
    if (properties.get('ActiveState') !== 'active') {
      const what = `${unit} is ${properties.get('ActiveState') ?? 'not active'}: nothing listens there`;
      notes.error(what, loss, listenAgain(unit, properties));
    } else if (state !== 'enabled' && !isServiceEnabled) {
      const fix = `systemctl enable --now ${unit}`;
      notes.warning(`${unit} is not enabled, nor is the service`, `after the next boot ${loss}`, fix);
    }
  }
}

/** Uses `restart`, which also restarts the service: systemd refuses to start the socket of a running service. */
function listenAgain(unit: string, properties: ReadonlyMap<string, string> | undefined): string {
  return `${unmask(unit, properties?.get('UnitFileState'))}systemctl enable ${unit} && systemctl restart ${unit}`;
}

/** Returns the command that creates a socket anew, after reverting an administrator's changes to its unit. */
function makeAnew(unit: string, systemd: SystemdFacts): string {
  const properties = propertiesOf(unit, systemd);
  const files = `${properties?.get('FragmentPath') ?? ''} ${properties?.get('DropInPaths') ?? ''}`;
  return `${/\/(?:etc|run)\//.test(files) ? `systemctl revert ${unit} && ` : ''}systemctl restart ${unit}`;
}

function propertiesOf(unit: string, { socketUnits }: SystemdFacts): ReadonlyMap<string, string> | undefined {
  return 'value' in socketUnits ? socketUnits.value.get(unit) : undefined;
}

function isSocket(notes: Notes, { path, kind }: FileFacts): boolean {
  if (kind === 'socket') return true;
  notes.error(
    `${path} is not a socket`,
    'the daemon cannot listen there, and nobody can reach it',
    `rm -r ${quoteIfNeeded(path)}`,
  );
  return false;
}
