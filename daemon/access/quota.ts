import { CredentialError } from '../../src/errors.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { GrantEntry, PrincipalRecord, Space } from '../vault/records.ts';

/**
 * Most credentials of one user who is not an administrator. Any user of the host may call, and must not be able to fill
 * the disk, or to make every start read a large list.
 */
export const NAMES_PER_USER_MAX = 1000;
/** Most bytes of all kept versions of all values of one user. */
export const BYTES_PER_USER_MAX: number = 16 * 1024 * 1024;
/** Most grants that one user has given, to all grantees together. */
export const GRANTS_PER_USER_MAX = 1000;
/**
 * Most grants that one principal has of shared credentials, and of credentials of other users. With the longest names,
 * and the names of the principal's own credentials, its record is just below the longest that the store reads
 * (`BODY_BYTES_MAX`). They are counted separately so that many users together cannot keep an administrator from
 * granting.
 */
export const SHARED_GRANTS_PER_GRANTEE_MAX = 10_000;
export const USERS_GRANTS_PER_GRANTEE_MAX = 8000;

/** @throws CredentialError `TooLarge` */
export function requireWithinQuota(user: PrincipalRecord): void {
  if (user.names.length > NAMES_PER_USER_MAX) throw new CredentialError('TooLarge', { limit: NAMES_PER_USER_MAX });
  if (user.bytes > BYTES_PER_USER_MAX) throw new CredentialError('TooLarge', { limit: BYTES_PER_USER_MAX });
}

/** @throws CredentialError `TooLarge` if the user who owns `space` would have given more grants than a user may */
export function requireGrantsWithinQuota(space: Space, given: number): void {
  if (space !== SHARED_SPACE && given > GRANTS_PER_USER_MAX) {
    throw new CredentialError('TooLarge', { limit: GRANTS_PER_USER_MAX });
  }
}

/**
 * @param grants all grants of one grantee, including the new ones
 * @throws CredentialError `TooLarge` if there are too many of them of spaces of the same kind as `space`: shared, or
 *   users'
 */
export function requireGranteeWithinQuota(space: Space, grants: readonly GrantEntry[]): void {
  const isShared = space === SHARED_SPACE;
  const limit = isShared ? SHARED_GRANTS_PER_GRANTEE_MAX : USERS_GRANTS_PER_GRANTEE_MAX;
  if (grants.length <= limit) return;
  const count = grants.filter((grant) => (grant.space === SHARED_SPACE) === isShared).length;
  if (count > limit) throw new CredentialError('TooLarge', { limit });
}
