import { closeSync, readFileSync } from 'node:fs';
import type { Server, Socket } from 'node:net';

import { SystemError, getSocketOption } from './libc.ts';
import { unitOfCgroup, userUnitOfCgroup } from './unit.ts';
import { OVERFLOW_GID, OVERFLOW_UID } from './user-namespace.ts';

const SO_PEERCRED = 17;
const SO_PEERGROUPS = 59;
const SO_PEERPIDFD = 77;
/** struct ucred: pid, uid, gid, each 32 bits (unix(7)). */
const UCRED_BYTES = 12;
/** Most groups of a peer. Linux allows 65536 (NGROUPS_MAX); no caller of this daemon needs that many. */
const GROUPS_MAX = 4096;

/** The kernel does not tell who the peer is; the message quotes nothing that the peer sent. */
export class UnknownPeerError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnknownPeerError';
  }
}

/** The process at the other end of a Unix socket, as the kernel recorded it when the process connected. */
export interface Peer {
  readonly pid: number;
  readonly uid: number;
  /** Undefined if the group has no number in the daemon's user namespace. */
  readonly gid: number | undefined;
  /** The supplementary groups of the process that have a number there. */
  readonly groups: readonly number[];
  /** The system unit that the process runs in; undefined if it is in none, or has ended. Looked up once. */
  unit(): string | undefined;
  /** The unit of the peer's own systemd (a user manager) that the process runs in; undefined as above. */
  userUnit(): string | undefined;
}

/**
 * Reads the peer of a connected socket.
 *
 * @throws UnknownPeerError for a peer of another namespace, or with too many groups
 * @throws Error if the kernel does not tell, or Node does not show the descriptor: the connection is refused then, too
 */
export function readPeer(socket: Socket): Peer {
  const fd = descriptorOf(socket);
  const credentials = getSocketOption(fd, SO_PEERCRED, UCRED_BYTES);
  if (credentials.length !== UCRED_BYTES) throw new Error('SO_PEERCRED has another form');
  const pid = credentials.readInt32LE(0);
  const uid = credentials.readUInt32LE(4);
  if (uid === 0xff_ff_ff_ff) throw new UnknownPeerError('the peer has no credentials');
  if (pid <= 0) throw new UnknownPeerError('the peer is of another process namespace');
  // The overflow uid is one number for many users: what one of them stored, all the others could read.
  if (uid === OVERFLOW_UID) throw new UnknownPeerError('the peer is of another user namespace');
  const gid = mappedGid(credentials.readUInt32LE(8));
  const groupBytes = readGroups(fd);
  const groups = Array.from({ length: groupBytes.length / 4 }, (_, index) => groupBytes.readUInt32LE(4 * index)).filter(
    (group) => mappedGid(group) !== undefined,
  );
  const startTime = startTimeOf(pid);
  let read: { readonly text: string } | undefined;
  const cgroup = (): string => (read ??= { text: readCgroup(fd, pid, uid, startTime) }).text;
  return { pid, uid, gid, groups, unit: () => unitOfCgroup(cgroup()), userUnit: () => userUnitOfCgroup(cgroup(), uid) };
}

function readGroups(fd: number): Buffer {
  try {
    return getSocketOption(fd, SO_PEERGROUPS, 4 * GROUPS_MAX);
  } catch (error) {
    if (!(error instanceof SystemError && error.code === 'ERANGE')) throw error;
    throw new UnknownPeerError(`the peer has more than ${GROUPS_MAX} groups`);
  }
}

/** Returns a group; undefined for the overflow gid, which may be any group. */
function mappedGid(gid: number): number | undefined {
  return gid === OVERFLOW_GID ? undefined : gid;
}

/** Returns the descriptor of a socket that is connected, or listens. @throws Error if Node does not show it */
export function descriptorOf(socket: Socket | Server): number {
  const fd = (socket as unknown as { _handle?: { fd?: unknown } })._handle?.fd;
  if (typeof fd !== 'number' || fd < 0) throw new Error('the socket has no descriptor');
  return fd;
}

/**
 * Reads `/proc/<pid>/cgroup` of the peer; empty if the process is not proved to be the peer, as a process id may be
 * used again by another process. Before and after the read, the process must have the peer's start time and uid, and on
 * Linux 6.5 and later, the peer's own pidfd (SO_PEERPIDFD) must say that the process is alive.
 */
function readCgroup(fd: number, pid: number, uid: number, startTime: string | undefined): string {
  const isPeer = (): boolean =>
    startTime !== undefined && startTimeOf(pid) === startTime && uidOf(pid) === uid && !isPeerGone(fd, pid);
  try {
    if (!isPeer()) return '';
    const text = readFileSync(`/proc/${pid}/cgroup`, 'latin1');
    return isPeer() ? text : '';
  } catch {
    // The process has ended, or /proc hides it: then it counts as in no unit, and has no rights through one.
    return '';
  }
}

/**
 * Reads the effective uid of a process (proc_pid_status(5)). The name of the command comes first and may contain almost
 * anything, but the kernel escapes line feeds in it, so it cannot forge a line.
 */
function uidOf(pid: number): number {
  return Number(/\nUid:\s+\d+\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}

/** Tells whether the peer's process has ended; false if the kernel is too old to tell. */
function isPeerGone(fd: number, pid: number): boolean {
  let pidfd: number;
  try {
    pidfd = getSocketOption(fd, SO_PEERPIDFD, 4).readInt32LE(0);
  } catch (error) {
    // Some kernels give no pidfd of a process that has ended. Kernels that have no pidfds say ENOPROTOOPT.
    return !(error instanceof SystemError && error.code === 'ENOPROTOOPT');
  }
  try {
    return /^Pid:\s+(-?\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${pidfd}`, 'latin1'))?.[1] !== String(pid);
  } finally {
    closeSync(pidfd);
  }
}

/**
 * Reads the start time of a process, field 22 of /proc/<pid>/stat (proc_pid_stat(5)). The command in field 2 may
 * contain anything, so counting starts behind it. Undefined if the process has ended.
 */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[22 - 3];
  } catch {
    return undefined;
  }
}
