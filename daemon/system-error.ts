import { getSystemErrorMessage } from 'node:util';

/** What the operating system says of a failed call, as in "read-only file system"; never a path, which the caller adds. */
export function describeSystemError(error: unknown): string {
  const { errno, code } = error as NodeJS.ErrnoException;
  return (errno === undefined ? undefined : getSystemErrorMessage(errno)) ?? code ?? 'unknown error';
}
