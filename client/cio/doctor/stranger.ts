import type { Facts } from './facts.ts';

/**
 * Why what answers is not believed to be a daemon of this host or of the caller; undefined where it is. What a stranger
 * says of itself must not become a command that somebody runs as root.
 */
export function strangerReason({ daemon, caller, process, sockets }: Facts): string | undefined {
  if (daemon.kind === 'silent') return undefined;
  const { uid, pid } = daemon.status;
  if (uid !== 0 && uid !== caller.uid && uid !== caller.serviceUid) {
    return `it runs as uid ${uid}, which is neither root, nor the user cio-credentiald, nor you`;
  }
  if ('unseen' in process) return process.unseen;
  // For root to see; everybody else relies on the folder, which is what the check of the sockets is for.
  const held = 'value' in sockets ? sockets.value.isHeldByDaemon : sockets;
  return 'value' in held && !held.value ? `process ${pid} does not hold its socket` : undefined;
}
