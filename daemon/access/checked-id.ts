import { CredentialError } from '../../src/errors.ts';
import { ID_MAX } from '../../src/limits.ts';

/**
 * Returns a uid or gid that a caller sent.
 *
 * @throws CredentialError `InvalidName` if it is out of range
 */
export function checkedId(id: number): number {
  if (id >= 0 && id <= ID_MAX) return id;
  throw new CredentialError('InvalidName', { name: '', reason: 'a uid or gid is out of range' });
}
