import { dirname } from 'node:path';
import type { Facts } from '../facts.ts';
import { isInService } from '../in-service.ts';
import { isMasked, RESTART, revertService, unmask } from '../fixes.ts';
import {
  ROOT_KEY_CREDENTIAL as KEY,
  ROOT_KEY_CREDENTIAL_PATH as ROOT_KEY,
  SERVICE,
  SOCKET_UNIT,
  SYSTEM_RUNTIME,
} from '../places.ts';
import { distrustReason } from '../trust.ts';
import { settingsIn } from '../unit-settings.ts';
import { Notes, type Verdict } from '../verdict.ts';

/** Exit status of a service whose credentials systemd could not set up (systemd.exec(5), EXIT_CREDENTIALS). */
const EXIT_CREDENTIALS = '243';
/** The settings that fail with it. ImportCredential= ignores what is missing, but decrypts what it finds. */
const CREDENTIAL_SETTING = /^(?:(?:Load|Import)Credential|(?:Load|Set)CredentialEncrypted)$/;
/** FileDescriptorStoreMax= of the unit. */
const KEPT_CONNECTIONS = 128;
const START = `systemctl start ${SOCKET_UNIT}`;
/**
 * Only one daemon can have the store open, and a daemon that exits unlinks its socket path, even if another process
 * listens there by then.
 */
const END_FIRST = `it must stop before systemd can start its own through ${SOCKET_UNIT}`;
const STARTING = 'systemd has tried to start it; its log says why that failed';
const LOG = `journalctl -u ${SERVICE} -n 20`;

/** Checks whether the daemon answers, is the genuine one, has the version of this `cio`, and has its store unlocked. */
export function checkDaemon(facts: Facts): Verdict {
  const { daemon, caller, systemd, process } = facts;
  const notes = new Notes();
  if (daemon.kind === 'silent') {
    const why = 'without the daemon nobody gets a credential, and units that load one do not start';
    const isSystem = systemd.isRunning && dirname(daemon.socket ?? '') === SYSTEM_RUNTIME;
    if (isSystem && lacksCredentials(systemd)) {
      reportCredentials(notes, systemd);
      return notes;
    }
    const masked = isSystem ? maskedUnits(systemd) : [];
    const [first] = masked;
    if (first !== undefined) {
      notes.error(
        `${daemon.message}, and ${first[0]} is masked`,
        `${why}; without that unit systemd does not start it`,
        masked.map(([unit, state]) => unmask(unit, state)).join('') + START,
      );
    } else if (!isSystem) notes.error(daemon.message, daemon.hint === undefined ? why : `${why}; ${daemon.hint}`);
    else if (!daemon.isAbsent && isFailing(systemd)) notes.error(daemon.message, `${why}; ${STARTING}`, LOG);
    else notes.error(daemon.message, why, daemon.isAbsent ? START : RESTART);
    return notes;
  }
  const { status, socket } = daemon;
  checkTrust(notes, facts, socket);
  if (status.version !== caller.version) {
    notes.warning(
      `cio is version ${caller.version}, the daemon ${status.version}`,
      'after an upgrade the old daemon keeps running until it is restarted',
      isInService(process) ? RESTART : undefined,
    );
  }
  if (status.locked) {
    const isKeyGone = isKeyMissing(facts);
    notes.error(
      isKeyGone
        ? `the store is locked, and the key with which systemd opens it is gone: ${ROOT_KEY}`
        : 'the store is locked',
      isKeyGone
        ? 'put the file back if you have it, and restart the daemon; otherwise only another slot can open the store'
        : 'nothing can be read, and units that load credentials wait or do not start',
      'cio credential unlock',
    );
  }
  checkStarter(notes, facts, dirname(socket) === SYSTEM_RUNTIME);
  return notes;
}

/** Whether the service fails before systemd executes the daemon, because a credential cannot be set up. */
function lacksCredentials({ service }: Facts['systemd']): boolean {
  return 'value' in service && service.value.get('ExecMainStatus') === EXIT_CREDENTIALS;
}

/**
 * Reports that systemd cannot set up the credentials of the service. The package's unit has only one, the key. If an
 * administrator added others, the exit status does not tell which one fails: then the suggested command shows the
 * log, and moves the key away only if the key cannot be decrypted.
 */
function reportCredentials(notes: Notes, systemd: Facts['systemd']): void {
  const changed = 'the key is bound to this host and its TPM, and one has changed';
  const others = otherCredentials(systemd);
  const replaceKey = `mv ${ROOT_KEY} /root/ && systemctl restart ${SERVICE} && cio credential unlock --recovery`;
  if (others.length === 0) {
    notes.error(
      'systemd cannot decrypt the key of the store, and so cannot start the daemon',
      `${changed}; a recovery code or a passphrase opens the store`,
      replaceKey,
    );
  } else {
    notes.error(
      'systemd cannot set up the credentials of the daemon, and so cannot start it',
      `either ${changed}, or one that was added fails: ${others.join(', ')}`,
      `${LOG}; systemd-creds decrypt ${ROOT_KEY} - > /dev/null || (${replaceKey})`,
    );
  }
}

/** Lists the settings that may add credentials to the key, with their files. A file that cannot be seen may have some. */
function otherCredentials({ service, dropIns }: Facts['systemd']): string[] {
  if ('unseen' in dropIns) return [dropIns.unseen];
  const fragment = ('value' in service && service.value.get('FragmentPath')) || '';
  const added = settingsIn(SERVICE, dropIns.value)
    .filter(({ key, value }) => CREDENTIAL_SETTING.test(key) && value !== KEY)
    // The rest of the value is a path, or what is encrypted.
    .map(({ path, key, value }) => `${key}=${value.split(':', 1)[0]} in ${path}`);
  return [...(fragment.startsWith('/etc/') ? [fragment] : []), ...added];
}

/** Whether systemd is starting the service, usually over and over, or has given up: another start does not help. */
function isFailing({ service }: Facts['systemd']): boolean {
  return 'value' in service && /^(?:activating|failed)$/.test(service.value.get('ActiveState') ?? '');
}

/** Of the units without which systemd cannot start the daemon, those that an administrator has masked. */
function maskedUnits({ service, socketUnits }: Facts['systemd']): (readonly [unit: string, state: string])[] {
  const units = new Map('value' in socketUnits ? socketUnits.value : []);
  if ('value' in service) units.set(SERVICE, service.value);
  const states = [SERVICE, SOCKET_UNIT].map((unit) => [unit, units.get(unit)?.get('UnitFileState') ?? ''] as const);
  return states.filter(([, state]) => isMasked(state));
}

/** Whether the store has a slot of kind `systemd`, but systemd has no key for it. */
function isKeyMissing({ daemon, store }: Facts): boolean {
  const slots = daemon.kind === 'answered' ? (daemon.status.slots ?? []) : [];
  const hasKey = 'value' in store && 'value' in store.value.hasSystemdKey ? store.value.hasSystemdKey.value : undefined;
  return hasKey === false && slots.some(({ kind }) => kind === 'systemd');
}

function checkTrust(notes: Notes, facts: Facts, socket: string): void {
  const reason = distrustReason(facts);
  // checkStarter() reports a process that cannot be seen.
  if (reason === undefined || ('unseen' in facts.process && facts.process.unseen === reason)) return;
  notes.error(
    `what answers at ${socket} may not be the daemon: ${reason}`,
    'whoever it is can read what you store',
    facts.systemd.isRunning && dirname(socket) === SYSTEM_RUNTIME ? `systemctl restart ${SOCKET_UNIT}` : undefined,
  );
}

/** Warns of a system-wide daemon that systemd did not start: nothing restarts it, and it has no sandbox. */
function checkStarter(notes: Notes, facts: Facts, isSystem: boolean): void {
  const { systemd, process } = facts;
  const seen = notes.see(process);
  if (seen === undefined || !isSystem || !systemd.isRunning) return;
  const unit = notes.see(seen.unit);
  if (unit === SERVICE) checkReturn(notes, facts);
  if (unit === SERVICE || ('unseen' in seen.unit && unit === undefined)) return;
  notes.warning(
    unit === undefined ? 'the daemon was started by hand' : `the daemon runs in ${unit}, not in ${SERVICE}`,
    `nothing restarts it when it stops, and it runs without the sandbox of its unit; ${END_FIRST}`,
    endOf(facts, unit),
  );
}

/**
 * Returns the command that ends the daemon, waits for its exit and lets systemd listen; undefined where another service
 * would start it again.
 */
function endOf({ daemon, sockets }: Facts, unit: string | undefined): string | undefined {
  // The pid is the peer's own claim: without proof that it holds the socket, the command could kill any process.
  const held = 'value' in sockets ? sockets.value.isHeldByDaemon : sockets;
  if (daemon.kind === 'silent' || !('value' in held) || !held.value || unit?.endsWith('.service') === true)
    return undefined;
  const { pid } = daemon.status;
  return `kill ${pid} && tail --pid=${pid} -f /dev/null && systemctl enable ${SOCKET_UNIT} && systemctl restart ${SOCKET_UNIT}`;
}

/** Checks whether the service restarts after a crash, and keeps the connections of waiting units until then. */
function checkReturn(notes: Notes, facts: Facts): void {
  const properties = notes.see(facts.systemd.service);
  const { Restart, WatchdogUSec, StartLimitIntervalUSec, FileDescriptorStoreMax } = Object.fromEntries(
    properties ?? [],
  ) as Readonly<Record<string, string | undefined>>;
  const fix = revertService(facts);
  if (FileDescriptorStoreMax !== undefined && Number(FileDescriptorStoreMax) < KEPT_CONNECTIONS) {
    notes.error(
      `systemd keeps ${FileDescriptorStoreMax} connections across a crash of the daemon, not ${KEPT_CONNECTIONS}`,
      'systemd takes a closed connection for an empty secret: a unit that asks at that moment starts with one',
      fix,
    );
  }
  if (StartLimitIntervalUSec !== undefined && StartLimitIntervalUSec !== '0') {
    notes.warning(
      'systemd gives up on the daemon when it crashes several times in a row',
      'it then closes the connections of waiting units, and these start with an empty secret',
      fix,
    );
  }
  if (Restart !== undefined && Restart !== 'always') {
    notes.warning(
      `the service has Restart=${Restart}, not always`,
      'once it has stopped, waiting units keep waiting until somebody calls it',
      fix,
    );
  }
  if (WatchdogUSec === '0' || WatchdogUSec === 'infinity') {
    notes.warning('the service has no watchdog', 'nothing restarts a daemon that hangs and answers nobody', fix);
  }
}
