import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';

import koffi from 'koffi';

/**
 * Calls into the C library that Node does not offer. Each function here throws if the call fails, so that a caller that
 * does not check the result fails closed.
 */

const { ECONNABORTED, EINTR, ENOENT, ENOSYS, ENOTDIR, EWOULDBLOCK } = constants.errno;

const SOL_SOCKET = 1;
const PR_GET_DUMPABLE = 3;
const PR_SET_DUMPABLE = 4;
const LOCK_EX = 2;
const LOCK_NB = 4;
const SOCK_NONBLOCK = 0o4000;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const F_SETFD = 2;
const F_SETLK = 6;
const F_DUPFD_CLOEXEC = 1030;
const F_WRLCK = 1;
const AT_FDCWD = -100;
const STATX_INO = 0x100;
/** sizeof(struct statx), and offsets in it (statx(2)). */
const STATX_BYTES = 256;
const STX_INO_OFFSET = 32;
const STX_DEV_MAJOR_OFFSET = 136;
const STX_DEV_MINOR_OFFSET = 140;
const POSIX_FADV_DONTNEED = 4;
const RLIMIT_CORE = 4;
/** sizeof(struct rlimit) on 64 bits, and where its hard limit is (getrlimit(2)). */
const RLIMIT_BYTES = 16;
const RLIMIT_HARD_OFFSET = 8;
/** struct flock on 64 bits: short, short, two off_t, pid_t (fcntl(2)). Filled with zeros, it means the whole file. */
const FLOCK_BYTES = 32;
const FD_CLOEXEC = 1;
const POLLOUT = 0x004;
const POLLERR = 0x008;
const POLLHUP = 0x010;
/** sizeof(struct sockaddr_un), and where its path begins (unix(7)). */
const SOCKADDR_UN_BYTES = 110;
const SUN_PATH_OFFSET = 2;
/** Offsets of the parts of a {@link Datagram}. */
const IOVEC_OFFSET = 56;
const CONTROL_OFFSET = 72;
const CONTROL_BYTES = 24;
const NAME_OFFSET = 96;
const TEXT_OFFSET: number = NAME_OFFSET + SOCKADDR_UN_BYTES + 2;
/** Size of the first version of struct sched_attr, and offsets in it (sched_setattr(2)). */
const SCHED_ATTR_BYTES = 48;
const SCHED_NICE_OFFSET = 16;
const SCHED_RUNTIME_OFFSET = 24;
/** The longest slice that the kernel takes. */
const SLICE_MAX_NS = 100_000_000n;
/** The system call numbers of sched_setattr: Debian 12's C library has no function for it. */
const SCHED_SETATTR_NUMBERS: ReadonlyMap<string, number> = new Map([
  ['x64', 314],
  ['arm64', 274],
]);
/** struct pollfd: int, short, short (poll(2)). */
const POLLFD_BYTES = 8;

const libc = koffi.load('libc.so.6');
const exitRaw = libc.func('void _exit(int)');
const getsockoptRaw = libc.func('int getsockopt(int, int, int, _Out_ uint8_t *, _Inout_ uint32_t *)');
const prctlRaw = libc.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)');
const getrlimitRaw = libc.func('int getrlimit(int, uint8_t *)');
const setrlimitRaw = libc.func('int setrlimit(int, const uint8_t *)');
const mlockRaw = libc.func('int mlock(uint8_t *, size_t)');
const flockRaw = libc.func('int flock(int, int)');
const setsockoptRaw = libc.func('int setsockopt(int, int, int, const uint8_t *, uint32_t)');
const getpeernameRaw = libc.func('int getpeername(int, _Out_ uint8_t *, _Inout_ uint32_t *)');
const pollRaw = libc.func('int poll(_Inout_ uint8_t *, unsigned long, int)');
const socketpairRaw = libc.func('int socketpair(int, int, int, _Out_ int *)');
const accept4Raw = libc.func('int accept4(int, uint8_t *, uint8_t *, int)');
const socketRaw = libc.func('int socket(int, int, int)');
const statxRaw = libc.func('int statx(int, const char *, int, unsigned int, uint8_t *)');
const fadviseRaw = libc.func('int posix_fadvise(int, long, long, int)');
const fcntlRaw = libc.func('int fcntl(int, int, ...)');
const sendmsgRaw = libc.func('long sendmsg(int, uint8_t *, int)');
const syscallRaw = libc.func('long syscall(long, ...)');
const mallocTrimRaw = libc.func('int malloc_trim(size_t)');
const addressOfRaw = libc.func('void *memcpy(uint8_t *, const uint8_t *, size_t)');

/**
 * Accepts the next queued connection of a listening socket; undefined if there is none now (accept4(2)).
 *
 * @throws SystemError
 */
export function acceptConnection(fd: number): number | undefined {
  const connection = accept4Raw(fd, null, null, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (connection >= 0) return connection;
  if ([EWOULDBLOCK, EINTR, ECONNABORTED].includes(koffi.errno())) return undefined;
  throw systemError('accept4');
}

/**
 * The buffer into which the kernel writes every socket option. A new buffer for the groups of each peer would leave
 * freed memory between allocations that stay: after a peak of connections, 50 MiB that the C library cannot give back.
 */
const OPTION_BUFFER: Buffer = Buffer.alloc(16 * 1024);

/** The buffer into which the kernel writes every struct statx. */
const STATX: Buffer = Buffer.alloc(STATX_BYTES);

/**
 * Ends the process at once (_exit(2)). `process.exit()` would wait for V8's threads, which never ends if one of them is
 * compiling and has found the heap full (nodejs/node#54918). Then koffi would sync standard output and standard error,
 * and deadlock if the disk refuses that.
 */
export function endProcess(code: number): never {
  exitRaw(code);
  throw new Error('the process has not ended');
}

/** Returns freed memory to the kernel, wherever in the heap it lies (malloc_trim(3)): some milliseconds for 100 MiB. */
export function trimHeap(): void {
  mallocTrimRaw(0);
}

/**
 * Reads a socket option of SOL_SOCKET, of at most `bytesMax` bytes; 16 KiB at most (getsockopt(2)).
 *
 * @throws SystemError
 */
export function getSocketOption(fd: number, option: number, bytesMax: number): Buffer {
  if (bytesMax > OPTION_BUFFER.length) throw new RangeError(`no option has ${bytesMax} bytes`);
  const value = OPTION_BUFFER.subarray(0, bytesMax);
  const length = [bytesMax];
  if (getsockoptRaw(fd, SOL_SOCKET, option, value, length) !== 0) throw systemError('getsockopt');
  return Buffer.from(value.subarray(0, length[0]));
}

/** Sets a socket option of SOL_SOCKET that is an int (setsockopt(2)). @throws SystemError */
export function setSocketOption(fd: number, option: number, value: number): void {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  if (setsockoptRaw(fd, SOL_SOCKET, option, bytes, bytes.length) !== 0) throw systemError('setsockopt');
}

/** Forbids core dumps, and ptrace and /proc/<pid>/mem to others of the same user (prctl(2), PR_SET_DUMPABLE). */
export function makeUndumpable(): void {
  if (prctlRaw(PR_SET_DUMPABLE, 0, 0, 0, 0) !== 0) throw systemError('prctl');
  if (prctlRaw(PR_GET_DUMPABLE, 0, 0, 0, 0) !== 0) throw new Error('the process is still dumpable');
}

/**
 * Forbids core dumps of the processes that this one starts, and of what they start: a process is dumpable again after
 * execve(2), and inherits only its limits (setrlimit(2)).
 *
 * The limit is one byte where it may be: with it, the kernel writes no file, and does not start the program that
 * `core_pattern` names. With zero bytes it does start that (core(5)).
 *
 * @throws SystemError
 */
export function forbidCoreDumpsOfChildren(): void {
  const limits = Buffer.alloc(RLIMIT_BYTES);
  if (getrlimitRaw(RLIMIT_CORE, limits) !== 0) throw systemError('getrlimit');
  const limit = limits.readBigUInt64LE(RLIMIT_HARD_OFFSET) === 0n ? 0n : 1n;
  limits.writeBigUInt64LE(limit, 0);
  limits.writeBigUInt64LE(limit, RLIMIT_HARD_OFFSET);
  if (setrlimitRaw(RLIMIT_CORE, limits) !== 0) throw systemError('setrlimit');
}

/**
 * Keeps the pages that hold `bytes` out of swap (mlock(2)). The bytes must not move, so they must not be on V8's heap.
 *
 * `mlockall` cannot be used: V8 gives pages back with `madvise(MADV_DONTNEED)`, which fails on locked memory, and V8
 * then aborts.
 */
export function lockPages(bytes: Uint8Array): void {
  if (mlockRaw(bytes, bytes.length) !== 0) throw systemError('mlock');
}

/** Takes an exclusive lock that ends with the process (flock(2)); false if another process has it. */
export function tryLockFile(fd: number): boolean {
  if (flockRaw(fd, LOCK_EX | LOCK_NB) === 0) return true;
  if (koffi.errno() === EWOULDBLOCK) return false;
  throw systemError('flock');
}

/**
 * Takes a lock on a whole file of the kind that SQLite uses, which this process loses when it closes any descriptor of
 * the file (fcntl(2)).
 *
 * @throws SystemError
 */
export function lockRecords(fd: number): void {
  const lock = Buffer.alloc(FLOCK_BYTES);
  lock.writeInt16LE(F_WRLCK);
  if (fcntlRaw(fd, F_SETLK, 'uint8_t *', lock) !== 0) throw systemError('fcntl');
}

/**
 * Returns `device.inode`, which tells a file from another one at the same path; undefined if there is none (statx(2)).
 *
 * `statSync` reads the file's times as well. Since Linux 6.13, the next write after that sets a new time, and the fsync
 * that follows has to write the inode too: on a virtual disk, a third more time.
 *
 * @throws SystemError
 */
export function fileIdentity(path: string): string | undefined {
  if (statxRaw(AT_FDCWD, path, 0, STATX_INO, STATX) === 0) {
    const device = `${STATX.readUInt32LE(STX_DEV_MAJOR_OFFSET)}:${STATX.readUInt32LE(STX_DEV_MINOR_OFFSET)}`;
    return `${device}.${STATX.readBigUInt64LE(STX_INO_OFFSET)}`;
  }
  if ([ENOENT, ENOTDIR].includes(koffi.errno())) return undefined;
  throw systemError('statx');
}

/**
 * Drops the clean pages of a file from the kernel's page cache, so that the next read comes from the disk
 * (posix_fadvise(2)).
 *
 * @throws SystemError
 */
export function dropCachedPages(fd: number): void {
  const errno = fadviseRaw(fd, 0, 0, POSIX_FADV_DONTNEED);
  if (errno !== 0) throw new SystemError('posix_fadvise', errno);
}

/**
 * Returns the address that the peer of a Unix socket is bound to (getpeername(2), unix(7)): a path, or NUL and the name
 * of an abstract one; empty if it is bound to none.
 *
 * @throws SystemError
 */
export function getPeerAddress(fd: number): Buffer {
  const address = Buffer.alloc(SOCKADDR_UN_BYTES);
  const length = [address.length];
  if (getpeernameRaw(fd, address, length) !== 0) throw systemError('getpeername');
  return address.subarray(SUN_PATH_OFFSET, Math.min(length[0] ?? 0, address.length));
}

/**
 * Waits until a descriptor can be written to, or its peer is gone; false after the time-out (poll(2)).
 *
 * @throws SystemError
 */
export function waitUntilWritable(fd: number, timeoutMs: number): boolean {
  return poll([fd], POLLOUT, timeoutMs).some((events) => events !== 0);
}

/**
 * Returns those of some connected sockets whose peers are gone. A peer that has only closed its own half is not gone.
 *
 * @throws SystemError
 */
export function hungUp(fds: readonly number[]): number[] {
  const events = poll(fds, 0, 0);
  return fds.filter((_, index) => ((events[index] ?? 0) & (POLLHUP | POLLERR)) !== 0);
}

/** Keeps child processes from inheriting a descriptor (fcntl(2)). @throws SystemError */
export function closeOnExec(fd: number): void {
  if (fcntlRaw(fd, F_SETFD, 'int', FD_CLOEXEC) !== 0) throw systemError('fcntl');
}

/**
 * Makes a process of the daemon's user run in the background (sched_setattr(2)): with the least weight, and with the
 * longest slices. Since Linux 6.12, a process that wakes up pre-empts one with longer slices at once, and an equal one
 * only at the next tick, some milliseconds later; older kernels ignore slices.
 *
 * @throws SystemError
 */
export function runInBackground(pid: number): void {
  const attributes = Buffer.alloc(SCHED_ATTR_BYTES);
  attributes.writeUInt32LE(SCHED_ATTR_BYTES, 0);
  attributes.writeInt32LE(constants.priority.PRIORITY_LOW, SCHED_NICE_OFFSET);
  attributes.writeBigUInt64LE(SLICE_MAX_NS, SCHED_RUNTIME_OFFSET);
  const number = SCHED_SETATTR_NUMBERS.get(process.arch);
  if (number === undefined) throw new SystemError('sched_setattr', ENOSYS);
  if (syscallRaw(number, 'int', pid, 'uint8_t *', attributes, 'unsigned int', 0) !== 0)
    throw systemError('sched_setattr');
}

/** Duplicates a descriptor; child processes do not inherit the copy (fcntl(2)). @throws SystemError */
export function duplicate(fd: number): number {
  const copy = fcntlRaw(fd, F_DUPFD_CLOEXEC, 'int', 0);
  if (copy < 0) throw systemError('fcntl');
  return copy;
}

/** Makes two connected Unix stream sockets (socketpair(2)). @throws SystemError */
export function connectedPair(): readonly [fd: number, other: number] {
  const pair = [-1, -1];
  if (socketpairRaw(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) !== 0) throw systemError('socketpair');
  const [fd = -1, other = -1] = pair;
  return [fd, other];
}

/** Opens a Unix datagram socket, which Node does not offer. @throws SystemError */
export function openDatagramSocket(): number {
  const fd = socketRaw(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) throw systemError('socket');
  return fd;
}

/**
 * A datagram to a Unix socket that may carry a copy of a descriptor (sendmsg(2)). The structures for the kernel are
 * laid out in advance, so that sending takes only some microseconds: a kill before that ends a connection that has no
 * copy.
 *
 * The memory, on 64 bits: struct msghdr (56 bytes), struct iovec (16), struct cmsghdr with one int (24), struct
 * sockaddr_un, text.
 */
export class Datagram {
  /** The text to send, written here by the sender. */
  readonly text: Buffer;
  readonly #socket: number;
  readonly #memory: Buffer;

  /** @param address a path, or NUL and the name of an abstract socket */
  constructor(socket: number, address: Uint8Array, textBytesMax: number) {
    this.#socket = socket;
    const nameBytes = SUN_PATH_OFFSET + address.length;
    // Not from Node's pool, so that its address is a multiple of eight.
    const memory = Buffer.from(new ArrayBuffer(NAME_OFFSET + SOCKADDR_UN_BYTES + 2 + textBytesMax));
    const base = koffi.address(addressOfRaw(memory, memory, 0));
    memory.writeUInt16LE(AF_UNIX, NAME_OFFSET);
    memory.set(address, NAME_OFFSET + SUN_PATH_OFFSET);
    memory.writeBigUInt64LE(base + BigInt(NAME_OFFSET), 0);
    memory.writeUInt32LE(nameBytes, 8);
    memory.writeBigUInt64LE(base + BigInt(IOVEC_OFFSET), 16);
    memory.writeBigUInt64LE(1n, 24);
    memory.writeBigUInt64LE(base + BigInt(CONTROL_OFFSET), 32);
    memory.writeBigUInt64LE(base + BigInt(TEXT_OFFSET), IOVEC_OFFSET);
    memory.writeBigUInt64LE(20n, CONTROL_OFFSET);
    memory.writeInt32LE(SOL_SOCKET, CONTROL_OFFSET + 8);
    memory.writeInt32LE(SCM_RIGHTS, CONTROL_OFFSET + 12);
    this.#memory = memory;
    this.text = memory.subarray(TEXT_OFFSET);
  }

  /**
   * Sends the first `textBytes` of {@link text}, and a copy of the descriptor `passed`, without waiting.
   *
   * @throws SystemError
   */
  send(textBytes: number, passed?: number): void {
    const memory = this.#memory;
    memory.writeUInt32LE(textBytes, IOVEC_OFFSET + 8);
    memory.writeUInt32LE(passed === undefined ? 0 : CONTROL_BYTES, 40);
    memory.writeInt32LE(passed ?? -1, CONTROL_OFFSET + 16);
    if (sendmsgRaw(this.#socket, memory, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) throw systemError('sendmsg');
  }
}

/** Returns what happened on each descriptor (poll(2)). */
function poll(fds: readonly number[], events: number, timeoutMs: number): number[] {
  const entries = Buffer.alloc(fds.length * POLLFD_BYTES);
  for (const [index, fd] of fds.entries()) {
    entries.writeInt32LE(fd, index * POLLFD_BYTES);
    entries.writeInt16LE(events, index * POLLFD_BYTES + 4);
  }
  // A signal that is handled interrupts poll(2), which is then called again.
  const deadline = performance.now() + timeoutMs;
  while (pollRaw(entries, fds.length, Math.max(0, Math.ceil(deadline - performance.now()))) < 0) {
    if (koffi.errno() !== EINTR) throw systemError('poll');
  }
  return fds.map((_, index) => entries.readInt16LE(index * POLLFD_BYTES + 6));
}

/** A failed system call, with its error number (errno(3)). */
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
