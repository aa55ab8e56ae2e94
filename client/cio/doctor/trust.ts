import type { Facts } from './facts.ts';

/**
 * Returns why the process that answers may not be a daemon of this host or of the caller; undefined if it is trusted.
 * What an impostor says about itself must not become part of a command that somebody runs as root.
 */
export function distrustReason({ daemon, caller, process, sockets }: Facts): string | undefined {
  if (daemon.kind === 'silent') return undefined;
  const { uid, pid } = daemon.status;
  if (uid !== 0 && uid !== caller.uid && uid !== caller.serviceUid) {
    return `it runs as uid ${uid}, which is neither root, nor the user cio-credentiald, nor you`;
  }
  if ('unseen' in process) return process.unseen;
  // Only root can see this. For other users the permissions of the folder must suffice, which the sockets check covers.
  const held = 'value' in sockets ? sockets.value.isHeldByDaemon : sockets;
  return 'value' in held && !held.value ? `process ${pid} does not hold its socket` : undefined;
}
