import { CredentialError } from '../../src/errors.ts';
import { describeDefect } from '../log.ts';
import type { LogFields } from '../log.ts';
import { StoreError } from '../store/sealed-store.ts';

/**
 * Returns the error that a caller gets for a failure of the storage, which becomes its cause; other errors are
 * unchanged.
 */
export function toCredentialError(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  const options = { cause: error };
  switch (error.failure) {
    case 'full':
      return new CredentialError('StorageFull', {}, options);
    case 'damaged':
      return new CredentialError('Damaged', {}, options);
    case 'read_only':
    case 'changed_by_other':
      return new CredentialError('StorageFailed', { reason: error.failure }, options);
    case 'newer':
    case 'io':
      return new CredentialError('StorageFailed', { reason: 'io' }, options);
  }
}

/** Returns the log fields for an error: the message of the storage's failure if that is the reason. */
export function describeFailure(error: unknown): LogFields {
  const failure = storeErrorBehind(error);
  return failure === undefined ? describeDefect(error) : { reason: failure.message };
}

/** Returns the storage failure that an error is or has as its cause; undefined if there is none. */
export function storeErrorBehind(error: unknown): StoreError | undefined {
  if (error instanceof StoreError) return error;
  return error instanceof CredentialError && error.cause instanceof StoreError ? error.cause : undefined;
}
