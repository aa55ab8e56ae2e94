import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';

/** What Node has no words for (errno(3)), or words for sockets only. */
const OTHERS: ReadonlyMap<number, string> = new Map([
  [constants.errno.EDQUOT, 'disk quota exceeded'],
  [constants.errno.ENOLCK, 'no locks available'],
  [constants.errno.ENOTCONN, 'transport endpoint is not connected'],
  [constants.errno.ESTALE, 'stale file handle'],
]);

/** What the operating system says of a failed call, as in "read-only file system"; never a path, which the caller adds. */
export function describeSystemError(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const errno = errnoOf(error);
  return (
    (errno === undefined ? undefined : (OTHERS.get(errno) ?? getSystemErrorMessage(-errno))) ?? code ?? 'unknown error'
  );
}

/** The number of what the operating system says, as errno(3) has it: Node has it negative, and no code for some. */
export function errnoOf(error: unknown): number | undefined {
  const { errno } = (error ?? {}) as NodeJS.ErrnoException;
  return errno === undefined ? undefined : Math.abs(errno);
}
