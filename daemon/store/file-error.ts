import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

import { describeSystemError, errnoOf } from '../system-error.ts';
import { StoreError } from './sealed-store.ts';
import type { StoreFailure } from './sealed-store.ts';

const FAILURES: ReadonlyMap<number, StoreFailure> = new Map([
  [constants.errno.ENOSPC, 'full'],
  [constants.errno.EDQUOT, 'full'],
  [constants.errno.EROFS, 'read_only'],
]);

/**
 * Returns what to throw instead of an error: a {@link StoreError} for an error of the operating system, and any other
 * unchanged.
 *
 * @param what could not be done, as the start of the message
 */
export function asFileError(error: unknown, what: string): unknown {
  const errno = errnoOf(error);
  if (errno === undefined) return error;
  const limit = errno === constants.errno.EFBIG ? describeFileLimit() : '';
  return new StoreError(FAILURES.get(errno) ?? 'io', `${what}: ${describeSystemError(error)}${limit}`, {
    cause: error,
  });
}

/**
 * Returns what to throw instead of an error if fsync(2) failed with it. Never `full`, which would say that nothing was
 * written: what was written before may or may not be on the disk.
 */
export function asSyncError(failure: unknown): unknown {
  if (!(failure instanceof StoreError && failure.failure === 'full')) return failure;
  return new StoreError('io', failure.message, { cause: failure.cause });
}

/**
 * Describes the file size limit of this process, as the end of a message about a failed write; empty if there is no
 * limit. SQLite does not report that the limit was the reason (EFBIG; Node ignores SIGXFSZ, the signal that goes with
 * it).
 */
export function describeFileLimit(): string {
  const bytes = /^Max file size +(\d+) /m.exec(readLimits())?.[1];
  return bytes === undefined ? '' : `; a file of this process has at most ${bytes} bytes (LimitFSIZE=, ulimit -f)`;
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    // The error that is being reported is more important than this one.
    return '';
  }
}

/**
 * Tells whether an error of SQLite or Node is one of the operating system, which says nothing about the file's
 * contents.
 */
export function isOfSystem(error: unknown): boolean {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  return errnoOf(error) !== undefined || /^SQLITE_(IOERR|CANTOPEN|NOMEM)/.test(code ?? '');
}
