import { dirname } from 'node:path';
import type { Facts } from '../facts.ts';
import { SERVICE, SOCKET_UNIT, SYSTEM_RUNTIME } from '../places.ts';
import { strangerReason } from '../stranger.ts';
import { Notes, type Verdict } from '../verdict.ts';

const EXIT_CREDENTIALS = '243';
const ROOT_KEY = '/etc/credstore.encrypted/cio-credentiald.root-key';
const START = `systemctl start ${SOCKET_UNIT}`;

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
    if (!isSystem) notes.error(daemon.message, daemon.hint === undefined ? why : `${why}; ${daemon.hint}`);
    else notes.error(daemon.message, why, daemon.isAbsent ? START : `systemctl restart ${SERVICE}`);
    return notes;
  }
  const { status, socket } = daemon;
  checkStranger(notes, facts, socket);
  if (status.version !== caller.version) {
    notes.warning(
      `cio is version ${caller.version}, the daemon ${status.version}`,
      'after an upgrade the old daemon serves on until it is started anew',
      systemd.isRunning ? `systemctl restart ${SERVICE}` : undefined,
    );
  }
  if (status.locked) {
    notes.error(
      'the store is locked',
      'nothing can be read, and units that load credentials wait or do not start',
      'cio credential unlock',
    );
  }
  checkStarter(notes, { systemd, process }, dirname(socket) === SYSTEM_RUNTIME);
  return notes;
}

/** The unit fails before the daemon is run (systemd.exec(5), EXIT_CREDENTIALS). */
function isKeyUnreadable({ systemd }: Facts): boolean {
  return 'value' in systemd.service && systemd.service.value.get('ExecMainStatus') === EXIT_CREDENTIALS;
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
function checkStarter(notes: Notes, { systemd, process }: Pick<Facts, 'systemd' | 'process'>, isSystem: boolean): void {
  const seen = notes.see(process);
  if (seen === undefined || !isSystem || !systemd.isRunning) return;
  const unit = notes.see(seen.unit);
  if (unit === SERVICE || ('unseen' in seen.unit && unit === undefined)) return;
  notes.warning(
    unit === undefined ? 'the daemon was started by hand' : `the daemon runs in ${unit}, not in ${SERVICE}`,
    'nobody starts it again when it ends, and it runs without the sandbox of its unit',
    `systemctl enable --now ${SOCKET_UNIT}`,
  );
}
