import { dirname } from 'node:path';
import type { Facts } from '../facts.ts';
import { isInService } from '../in-service.ts';
import { isMasked, RESTART, revertService, unmask } from '../mends.ts';
import { ROOT_KEY_CREDENTIAL_PATH as ROOT_KEY, SERVICE, SOCKET_UNIT, SYSTEM_RUNTIME } from '../places.ts';
import { strangerReason } from '../stranger.ts';
import { Notes, type Verdict } from '../verdict.ts';

const EXIT_CREDENTIALS = '243';
/** FileDescriptorStoreMax= of the unit. */
const KEPT_CONNECTIONS = 128;
const START = `systemctl start ${SOCKET_UNIT}`;
/** The store is one daemon's, and one that ends takes the path of its socket away, whoever listens there. */
const END_FIRST = `it has to end before systemd can start its own, by ${SOCKET_UNIT}`;
const STARTING = 'systemd has tried to start it: its log says what keeps it from that';
const LOG = `journalctl -u ${SERVICE} -n 20`;

/** Whether the daemon answers, is the one that is meant, is of this version, and is open. */
export function checkDaemon(facts: Facts): Verdict {
  const { daemon, caller, systemd, process } = facts;
  const notes = new Notes();
  if (daemon.kind === 'silent') {
    const why = 'without the daemon nobody gets a credential, and units that load one do not start';
    const isSystem = systemd.isRunning && dirname(daemon.socket ?? '') === SYSTEM_RUNTIME;
    if (isSystem && isKeyUnreadable(facts)) {
      notes.error(
        'systemd cannot decrypt the key of the store, and so cannot start the daemon',
        'the key is bound to this host and its TPM, as they were; a recovery code or a passphrase opens the store',
        `mv ${ROOT_KEY} /root/ && systemctl restart ${SERVICE} && cio credential unlock --recovery`,
      );
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
  checkStranger(notes, facts, socket);
  if (status.version !== caller.version) {
    notes.warning(
      `cio is version ${caller.version}, the daemon ${status.version}`,
      'after an upgrade the old daemon serves on until it is started anew',
      isInService(process) ? RESTART : undefined,
    );
  }
  if (status.locked) {
    const isKeyGone = isKeyMissing(facts);
    notes.error(
      isKeyGone
        ? `the store is locked, and the key by which systemd opens it is gone: ${ROOT_KEY}`
        : 'the store is locked',
      isKeyGone
        ? 'put the file back if you have it, and restart the daemon; else only what the other slots ask for opens the store'
        : 'nothing can be read, and units that load credentials wait or do not start',
      'cio credential unlock',
    );
  }
  checkStarter(notes, facts, dirname(socket) === SYSTEM_RUNTIME);
  return notes;
}

/** The unit fails before the daemon is run (systemd.exec(5), EXIT_CREDENTIALS). */
function isKeyUnreadable({ systemd }: Facts): boolean {
  return 'value' in systemd.service && systemd.service.value.get('ExecMainStatus') === EXIT_CREDENTIALS;
}

/** systemd starts it, mostly again and again, or has given it up: another start does not help. */
function isFailing({ service }: Facts['systemd']): boolean {
  return 'value' in service && /^(?:activating|failed)$/.test(service.value.get('ActiveState') ?? '');
}

/** Those that an administrator has masked, of the units without which the daemon is not started. */
function maskedUnits({ service, socketUnits }: Facts['systemd']): (readonly [unit: string, state: string])[] {
  const units = new Map('value' in socketUnits ? socketUnits.value : []);
  if ('value' in service) units.set(SERVICE, service.value);
  const states = [SERVICE, SOCKET_UNIT].map((unit) => [unit, units.get(unit)?.get('UnitFileState') ?? ''] as const);
  return states.filter(([, state]) => isMasked(state));
}

/** A slot of systemd's, and no key for it. */
function isKeyMissing({ daemon, store }: Facts): boolean {
  const slots = daemon.kind === 'answered' ? (daemon.status.slots ?? []) : [];
  const hasKey = 'value' in store && 'value' in store.value.hasSystemdKey ? store.value.hasSystemdKey.value : undefined;
  return hasKey === false && slots.some(({ kind }) => kind === 'systemd');
}

function checkStranger(notes: Notes, facts: Facts, socket: string): void {
  const reason = strangerReason(facts);
  // A process that cannot be seen is told of as such.
  if (reason === undefined || ('unseen' in facts.process && facts.process.unseen === reason)) return;
  notes.error(
    `what answers at ${socket} may not be the daemon: ${reason}`,
    'whoever it is reads what you store',
    facts.systemd.isRunning && dirname(socket) === SYSTEM_RUNTIME ? `systemctl restart ${SOCKET_UNIT}` : undefined,
  );
}

/** A daemon in the system's place that systemd did not start goes away unnoticed, and has no sandbox. */
function checkStarter(notes: Notes, facts: Facts, isSystem: boolean): void {
  const { systemd, process } = facts;
  const seen = notes.see(process);
  if (seen === undefined || !isSystem || !systemd.isRunning) return;
  const unit = notes.see(seen.unit);
  if (unit === SERVICE) checkReturn(notes, facts);
  if (unit === SERVICE || ('unseen' in seen.unit && unit === undefined)) return;
  notes.warning(
    unit === undefined ? 'the daemon was started by hand' : `the daemon runs in ${unit}, not in ${SERVICE}`,
    `nobody starts it again when it ends, and it runs without the sandbox of its unit; ${END_FIRST}`,
    endOf(facts, unit),
  );
}

/** Ends the daemon, waits for that, and has systemd listen; nothing where another unit would start it again. */
function endOf({ daemon, sockets }: Facts, unit: string | undefined): string | undefined {
  // Not whatever process somebody names who only says that he is the daemon.
  const held = 'value' in sockets ? sockets.value.isHeldByDaemon : sockets;
  if (daemon.kind === 'silent' || !('value' in held) || !held.value || unit?.endsWith('.service') === true)
    return undefined;
  const { pid } = daemon.status;
  return `kill ${pid} && tail --pid=${pid} -f /dev/null && systemctl enable ${SOCKET_UNIT} && systemctl restart ${SOCKET_UNIT}`;
}

/** Whether the service comes back after a crash, and what waits meanwhile with it. */
function checkReturn(notes: Notes, facts: Facts): void {
  const properties = notes.see(facts.systemd.service);
  const { Restart, WatchdogUSec, StartLimitIntervalUSec, FileDescriptorStoreMax } = Object.fromEntries(
    properties ?? [],
  ) as Readonly<Record<string, string | undefined>>;
  const mend = revertService(facts);
  if (FileDescriptorStoreMax !== undefined && Number(FileDescriptorStoreMax) < KEPT_CONNECTIONS) {
    notes.error(
      `systemd keeps ${FileDescriptorStoreMax} connections over a crash of the daemon, not ${KEPT_CONNECTIONS}`,
      'to systemd a connection that ends is an empty secret: a unit that asks at that moment starts with one',
      mend,
    );
  }
  if (StartLimitIntervalUSec !== undefined && StartLimitIntervalUSec !== '0') {
    notes.warning(
      'systemd gives the daemon up when it crashes several times in a row',
      'it drops the connections of units that wait then, and these start with an empty secret',
      mend,
    );
  }
  if (Restart !== undefined && Restart !== 'always') {
    notes.warning(
      `the service has Restart=${Restart}, not always`,
      'once it has ended, those who wait go on waiting until somebody calls',
      mend,
    );
  }
  if (WatchdogUSec === '0' || WatchdogUSec === 'infinity') {
    notes.warning('the service has no watchdog', 'a daemon that hangs is noticed by nobody, and answers nobody', mend);
  }
}
