import { CredentialError } from '../../src/errors.ts';
import type { PrincipalRecord } from '../vault/records.ts';

/**
 * What one user who is no administrator may keep: any user of the host may call, and nobody may fill the disk with that
 * or make every start read a large list.
 */
export const NAMES_PER_USER_MAX = 1000;
/** Bytes of all kept versions of all values of one user. */
export const BYTES_PER_USER_MAX: number = 16 * 1024 * 1024;
/** Most things that one principal can have been granted. */
export const GRANTS_PER_PRINCIPAL_MAX = 1000;
/** Most users, groups and units that own something or were granted something. */
export const PRINCIPALS_MAX = 10_000;

/** @throws CredentialError `TooLarge` */
export function requireWithinQuota(user: PrincipalRecord): void {
  if (user.names.length > NAMES_PER_USER_MAX) throw new CredentialError('TooLarge', { limit: NAMES_PER_USER_MAX });
  if (user.bytes > BYTES_PER_USER_MAX) throw new CredentialError('TooLarge', { limit: BYTES_PER_USER_MAX });
}
