import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';

/** Messages for the errors (errno(3)) for which Node has none, or one that fits sockets only. */
const OTHERS: ReadonlyMap<number, string> = new Map([
  [constants.errno.EDQUOT, 'disk quota exceeded'],
  [constants.errno.ENOLCK, 'no locks available'],
  [constants.errno.ENOTCONN, 'transport endpoint is not connected'],
  [constants.errno.ESTALE, 'stale file handle'],
]);

/**
 * Returns the system's message for a failed call, such as "read-only file system"; never a path, which the caller adds.
 */
export function describeSystemError(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const errno = errnoOf(error);
  return (
    (errno === undefined ? undefined : (OTHERS.get(errno) ?? getSystemErrorMessage(-errno))) ?? code ?? 'unknown error'
  );
}

/**
 * Returns the error number of a failed system call, positive as in errno(3): Node negates it, and has no code for some.
 */
export function errnoOf(error: unknown): number | undefined {
  const { errno } = (error ?? {}) as NodeJS.ErrnoException;
  return errno === undefined ? undefined : Math.abs(errno);
}
