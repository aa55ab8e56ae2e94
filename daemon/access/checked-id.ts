import { CredentialError } from '../../src/errors.ts';

/** The largest uid and gid; the one above stands for "none" (`(uid_t) -1`). */
const ID_MAX: number = 2 ** 32 - 2;

/**
 * Returns a uid or gid that a caller sent.
 *
 * @throws CredentialError `InvalidName` if it is out of range
 */
export function checkedId(id: number): number {
  if (id >= 0 && id <= ID_MAX) return id;
  throw new CredentialError('InvalidName', { name: '', reason: 'a uid or gid is out of range' });
}
