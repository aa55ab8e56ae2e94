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
 * What to throw in the place of an error: a {@link StoreError} for what the operating system refused; everything else as it is.
 *
 * @param what could not be done
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
 * The bound that this process has for its files, as the end of a message about a write that failed: SQLite does not say
 * that it was the bound (EFBIG; the signal that goes with it, SIGXFSZ, is ignored by Node). Empty where there is none.
 */
export function describeFileLimit(): string {
  const bytes = /^Max file size +(\d+) /m.exec(readLimits())?.[1];
  return bytes === undefined ? '' : `; a file of this process has at most ${bytes} bytes (LimitFSIZE=, ulimit -f)`;
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'latin1');
  } catch {
    // What failed first is what is to be told.
    return '';
  }
}

/** Whether SQLite, or Node, says that the operating system refused something: of what is in the file no more is known then. */
export function isOfSystem(error: unknown): boolean {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  return errnoOf(error) !== undefined || /^SQLITE_(IOERR|CANTOPEN|NOMEM)/.test(code ?? '');
}
