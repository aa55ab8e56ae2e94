import { CredentialError } from '../../src/errors.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { GrantEntry, PrincipalRecord, Space } from '../vault/records.ts';

/**
 * What one user who is no administrator may keep: any user of the host may call, and nobody may fill the disk with that
 * or make every start read a large list.
 */
export const NAMES_PER_USER_MAX = 1000;
/** Bytes of all kept versions of all values of one user. */
export const BYTES_PER_USER_MAX: number = 16 * 1024 * 1024;
/** Most grants that one user has given, to whomever. */
export const GRANTS_PER_USER_MAX = 1000;
/**
 * Most grants of shared credentials that one principal has, and most of users' own: with the longest names, and what a user
 * has himself, his record is just short of what the store reads of one (`BODY_BYTES_MAX`). By two counts, as many users
 * together shall not keep an administrator from granting.
 */
export const SHARED_GRANTS_PER_GRANTEE_MAX = 10_000;
export const USERS_GRANTS_PER_GRANTEE_MAX = 8000;

/** @throws CredentialError `TooLarge` */
export function requireWithinQuota(user: PrincipalRecord): void {
  if (user.names.length > NAMES_PER_USER_MAX) throw new CredentialError('TooLarge', { limit: NAMES_PER_USER_MAX });
  if (user.bytes > BYTES_PER_USER_MAX) throw new CredentialError('TooLarge', { limit: BYTES_PER_USER_MAX });
}

/** @throws CredentialError `TooLarge` where the user who owns `space` would have given more grants than he may */
export function requireGrantsWithinQuota(space: Space, given: number): void {
  if (space !== SHARED_SPACE && given > GRANTS_PER_USER_MAX) {
    throw new CredentialError('TooLarge', { limit: GRANTS_PER_USER_MAX });
  }
}

/** @throws CredentialError `TooLarge` where somebody has been granted too much out of spaces like this one, with what is granted now */
export function requireGranteeWithinQuota(space: Space, grants: readonly GrantEntry[]): void {
  const isShared = space === SHARED_SPACE;
  const limit = isShared ? SHARED_GRANTS_PER_GRANTEE_MAX : USERS_GRANTS_PER_GRANTEE_MAX;
  if (grants.length <= limit) return;
  const count = grants.filter((grant) => (grant.space === SHARED_SPACE) === isShared).length;
  if (count > limit) throw new CredentialError('TooLarge', { limit });
}
