import { getSystemErrorName } from 'node:util';

import koffi from 'koffi';

/**
 * The calls into the C library that Node has no words for. Each function here throws where the call fails, so that a
 * caller who forgets to look fails closed.
 */

const SOL_SOCKET = 1;
const PR_GET_DUMPABLE = 3;
const PR_SET_DUMPABLE = 4;
const LOCK_EX = 2;
const LOCK_NB = 4;
const EWOULDBLOCK = 11;
const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const POLLOUT = 0x004;
const POLLERR = 0x008;
const POLLHUP = 0x010;
/** sizeof(struct sockaddr_un), and where its path begins (unix(7)). */
const SOCKADDR_UN_BYTES = 110;
const SUN_PATH_OFFSET = 2;
/** struct pollfd: int, short, short (poll(2)). */
const POLLFD_BYTES = 8;

const libc = koffi.load('libc.so.6');
const getsockoptRaw = libc.func('int getsockopt(int, int, int, _Out_ uint8_t *, _Inout_ uint32_t *)');
const prctlRaw = libc.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)');
const mlockRaw = libc.func('int mlock(uint8_t *, size_t)');
const flockRaw = libc.func('int flock(int, int)');
const setsockoptRaw = libc.func('int setsockopt(int, int, int, const uint8_t *, uint32_t)');
const getpeernameRaw = libc.func('int getpeername(int, _Out_ uint8_t *, _Inout_ uint32_t *)');
const pollRaw = libc.func('int poll(_Inout_ uint8_t *, unsigned long, int)');
const socketRaw = libc.func('int socket(int, int, int)');
const fcntlRaw = libc.func('int fcntl(int, int, ...)');
koffi.struct('iovec', { iov_base: 'uint8_t *', iov_len: 'size_t' });
koffi.struct('msghdr', {
  msg_name: 'uint8_t *',
  msg_namelen: 'uint32_t',
  msg_iov: 'iovec *',
  msg_iovlen: 'size_t',
  msg_control: 'uint8_t *',
  msg_controllen: 'size_t',
  msg_flags: 'int',
});
const sendmsgRaw = libc.func('long sendmsg(int, const msghdr *, int)');

/** A socket option of SOL_SOCKET, at most `bytesMax` of it (getsockopt(2)). @throws SystemError */
export function getSocketOption(fd: number, option: number, bytesMax: number): Buffer {
  const value = Buffer.alloc(bytesMax);
  const length = [bytesMax];
  if (getsockoptRaw(fd, SOL_SOCKET, option, value, length) !== 0) throw systemError('getsockopt');
  return value.subarray(0, length[0]);
}

/** Sets a socket option of SOL_SOCKET that is an int (setsockopt(2)). @throws SystemError */
export function setSocketOption(fd: number, option: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  if (setsockoptRaw(fd, SOL_SOCKET, option, bytes, bytes.length) !== 0) throw systemError('setsockopt');
}

/** No core dumps, no ptrace and no /proc/<pid>/mem for others of the same user (prctl(2), PR_SET_DUMPABLE). */
export function makeUndumpable(): void {
  if (prctlRaw(PR_SET_DUMPABLE, 0, 0, 0, 0) !== 0) throw systemError('prctl');
  if (prctlRaw(PR_GET_DUMPABLE, 0, 0, 0, 0) !== 0) throw new Error('the process is still dumpable');
}

/**
 * Keeps the pages that hold `bytes` out of swap (mlock(2)); they must not move, so they are not on V8's heap.
 *
 * `mlockall` is out of the question: V8 gives pages back with `madvise(MADV_DONTNEED)`, which fails on locked memory, and
 * V8 ends the process then.
 */
export function lockPages(bytes: Uint8Array): void {
  if (mlockRaw(bytes, bytes.length) !== 0) throw systemError('mlock');
}

/** Takes an exclusive lock that ends with the process (flock(2)); false where another one has it. */
export function tryLockFile(fd: number): boolean {
  if (flockRaw(fd, LOCK_EX | LOCK_NB) === 0) return true;
  if (koffi.errno() === EWOULDBLOCK) return false;
  throw systemError('flock');
}

/**
 * The address that the peer of a Unix socket is bound to (getpeername(2), unix(7)): a path, or NUL and the name of an
 * abstract one; empty where it is bound to none. @throws SystemError
 */
export function getPeerAddress(fd: number): Buffer {
  const address = Buffer.alloc(SOCKADDR_UN_BYTES);
  const length = [address.length];
  if (getpeernameRaw(fd, address, length) !== 0) throw systemError('getpeername');
  return address.subarray(SUN_PATH_OFFSET, Math.min(length[0] ?? 0, address.length));
}

/** Waits until a descriptor takes bytes, or its peer is gone; false where that takes too long (poll(2)). @throws SystemError */
export function waitUntilWritable(fd: number, timeoutMs: number): boolean {
  return poll([fd], POLLOUT, timeoutMs).some((events) => events !== 0);
}

/** Those of some connected sockets whose peers are gone: a peer that has only ended its own sending is not. @throws SystemError */
export function hungUp(fds: readonly number[]): number[] {
  const events = poll(fds, 0, 0);
  return fds.filter((_, index) => ((events[index] ?? 0) & (POLLHUP | POLLERR)) !== 0);
}

/** Keeps a descriptor that was inherited out of this process's own children (fcntl(2)). @throws SystemError */
export function closeOnExec(fd: number): void {
  if (fcntlRaw(fd, F_SETFD, 'int', FD_CLOEXEC) !== 0) throw systemError('fcntl');
}

/** A Unix datagram socket, which Node has none of. @throws SystemError */
export function openDatagramSocket(): number {
  const fd = socketRaw(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError('socket');
  return fd;
}

/**
 * Sends a datagram to a Unix socket at once or not at all, and with it a copy of an open descriptor (sendmsg(2)).
 *
 * @param address the path, or NUL and the name of an abstract one
 * @throws SystemError
 */
export function sendDatagram(socket: number, address: Uint8Array, text: string, passed?: number): void {
  const name = Buffer.alloc(SUN_PATH_OFFSET + address.length);
  name.writeUInt16LE(AF_UNIX);
  name.set(address, SUN_PATH_OFFSET);
  const body = Buffer.from(text);
  const control = passed === undefined ? null : rightsMessage(passed);
  const message = {
    msg_name: name,
    msg_namelen: name.length,
    msg_iov: [{ iov_base: body, iov_len: body.length }],
    msg_iovlen: 1,
    msg_control: control,
    msg_controllen: control?.length ?? 0,
    msg_flags: 0,
  };
  if (sendmsgRaw(socket, message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) throw systemError('sendmsg');
}

/** struct cmsghdr { size_t len; int level; int type; } and one descriptor, padded to a word (cmsg(3), on 64 bits). */
function rightsMessage(fd: number): Buffer {
  const control = Buffer.alloc(24);
  control.writeBigUInt64LE(20n, 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  control.writeInt32LE(fd, 16);
  return control;
}

/** What happened on each descriptor. */
function poll(fds: readonly number[], events: number, timeoutMs: number): number[] {
  const entries = Buffer.alloc(fds.length * POLLFD_BYTES);
  for (const [index, fd] of fds.entries()) {
    entries.writeInt32LE(fd, index * POLLFD_BYTES);
    entries.writeInt16LE(events, index * POLLFD_BYTES + 4);
  }
  if (pollRaw(entries, fds.length, timeoutMs) < 0) throw systemError('poll');
  return fds.map((_, index) => entries.readInt16LE(index * POLLFD_BYTES + 6));
}

/** A call that failed, with its error number (errno(3)). */
export class SystemError extends Error {
  readonly errno: number;
  /** As in errno(3): `EPERM`. */
  readonly code: string;

  constructor(call: string, errno: number) {
    const code = getSystemErrorName(-errno);
    super(`${call} failed (${code})`);
    this.name = 'SystemError';
    this.errno = errno;
    this.code = code;
  }
}

function systemError(call: string): SystemError {
  return new SystemError(call, koffi.errno());
}
