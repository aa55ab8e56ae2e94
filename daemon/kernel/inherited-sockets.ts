import { fstatSync } from 'node:fs';

import { closeOnExec, getSocketOption } from './libc.ts';

/** The first descriptor that systemd passes on (sd_listen_fds(3)). */
const LISTEN_FDS_START = 3;
/** Most sockets that are accepted from systemd: more than the listening ones and a full descriptor store. */
const INHERITED_MAX = 1024;
const SO_ACCEPTCONN = 30;
const SO_DOMAIN = 39;
const SO_TYPE = 3;
const AF_UNIX = 1;
const SOCK_STREAM = 1;

/** A Unix stream socket that systemd passed to the process. */
export interface InheritedSocket {
  readonly fd: number;
  /** `FileDescriptorName=` of its socket unit, or its name in the descriptor store. */
  readonly name: string;
  /** Whether it listens; if not, it is a connection from the descriptor store. */
  readonly isListening: boolean;
}

/** systemd passed something that the daemon cannot serve; the message is for the operator. */
export class InheritedSocketError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InheritedSocketError';
  }
}

/**
 * Returns the sockets that systemd passed to this process (sd_listen_fds(3)); none if the variables are missing or
 * meant for another process. Sets close-on-exec on each.
 *
 * @throws InheritedSocketError
 */
export function takeInheritedSockets(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): InheritedSocket[] {
  if (environment['LISTEN_PID'] !== String(pid)) return [];
  const count = Number(environment['LISTEN_FDS']);
  if (!Number.isInteger(count) || count < 0 || count > INHERITED_MAX) {
    throw new InheritedSocketError('LISTEN_FDS is not a number of sockets');
  }
  const names = (environment['LISTEN_FDNAMES'] ?? '').split(':');
  return Array.from({ length: count }, (_, index) => inheritedSocket(LISTEN_FDS_START + index, names[index] ?? ''));
}

function inheritedSocket(fd: number, name: string): InheritedSocket {
  try {
    closeOnExec(fd);
    const isUnixStream =
      fstatSync(fd).isSocket() && option(fd, SO_DOMAIN) === AF_UNIX && option(fd, SO_TYPE) === SOCK_STREAM;
    if (isUnixStream) return { fd, name, isListening: option(fd, SO_ACCEPTCONN) !== 0 };
  } catch {
    // Not open, or not a socket: the same mistake in the unit.
  }
  throw new InheritedSocketError(`descriptor ${fd} is not a Unix stream socket; see the socket units`);
}

function option(fd: number, number: number): number {
  return getSocketOption(fd, number, 4).readInt32LE(0);
}
