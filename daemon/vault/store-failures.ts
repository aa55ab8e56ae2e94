import { CredentialError } from '../../src/errors.ts';
import { StoreError } from '../store/sealed-store.ts';

/** What a caller is told of a failure of the storage; every other error stays as it is. */
export function toCredentialError(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  switch (error.failure) {
    case 'full':
      return new CredentialError('StorageFull', {});
    case 'damaged':
      return new CredentialError('Damaged', {});
    case 'read_only':
    case 'changed_by_other':
      return new CredentialError('StorageFailed', { reason: error.failure });
    case 'newer':
    case 'io':
      return new CredentialError('StorageFailed', { reason: 'io' });
  }
}
