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

const libc = koffi.load('libc.so.6');
const getsockoptRaw = libc.func('int getsockopt(int, int, int, _Out_ uint8_t *, _Inout_ uint32_t *)');
const prctlRaw = libc.func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)');
const mlockRaw = libc.func('int mlock(uint8_t *, size_t)');
const flockRaw = libc.func('int flock(int, int)');

/** A socket option of SOL_SOCKET, at most `bytesMax` of it (getsockopt(2)). @throws SystemError */
export function getSocketOption(fd: number, option: number, bytesMax: number): Buffer {
  const value = Buffer.alloc(bytesMax);
  const length = [bytesMax];
  if (getsockoptRaw(fd, SOL_SOCKET, option, value, length) !== 0) throw systemError('getsockopt');
  return value.subarray(0, length[0]);
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

/** A call that failed, with its error number (errno(3)). */
export class SystemError extends Error {
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call} failed (errno ${errno})`);
    this.name = 'SystemError';
    this.errno = errno;
  }
}

function systemError(call: string): SystemError {
  return new SystemError(call, koffi.errno());
}
