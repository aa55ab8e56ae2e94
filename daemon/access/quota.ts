import { CredentialError } from '../../src/errors.ts';
import { SHARED_SPACE } from '../vault/records.ts';
import type { PrincipalRecord, Space } from '../vault/records.ts';

/**
 * What one user who is no administrator may keep: any user of the host may call, and nobody may fill the disk with that
 * or make every start read a large list.
 */
export const NAMES_PER_USER_MAX = 1000;
/** Bytes of all kept versions of all values of one user. */
export const BYTES_PER_USER_MAX: number = 16 * 1024 * 1024;
/** Most grants that one user has given, to whomever. */
export const GRANTS_PER_USER_MAX = 1000;

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
