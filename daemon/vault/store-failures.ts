import { CredentialError } from '../../src/errors.ts';
import { describeDefect } from '../log.ts';
import type { LogFields } from '../log.ts';
import { StoreError } from '../store/sealed-store.ts';

/** What a caller is told of a failure of the storage, which is its cause; every other error stays as it is. */
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

/** What of an error may be logged: the words of the storage where it is to blame. */
export function describeFailure(error: unknown): LogFields {
  const failure = storeErrorBehind(error);
  return failure === undefined ? describeDefect(error) : { reason: failure.message };
}

/** The failure of the storage that an error is, or was made of. */
export function storeErrorBehind(error: unknown): StoreError | undefined {
  if (error instanceof StoreError) return error;
  return error instanceof CredentialError && error.cause instanceof StoreError ? error.cause : undefined;
}
