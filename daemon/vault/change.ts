import { compareGrants, grantKey } from './grant-index.ts';
import type { Principals } from './principals.ts';
import type { CredentialRecord, GrantEntry, HealthRecord, PrincipalId, PrincipalRecord } from './records.ts';

/** The visible changes of a commit. */
export interface VaultChange {
  /** Credentials that were created, changed or removed; some may be listed more than once. */
  readonly credentials: readonly CredentialRecord[];
  /** Validation results that were stored. */
  readonly healths: readonly HealthRecord[];
  /** Grants that were given or revoked. */
  readonly grants: readonly ChangedGrant[];
}

export interface ChangedGrant {
  readonly principal: PrincipalId;
  readonly grant: GrantEntry;
}

/** Compares the grants before a commit with those in the records that it changes. */
export function changedGrants(before: Principals, changed: readonly PrincipalRecord[]): ChangedGrant[] {
  const found: ChangedGrant[] = [];
  for (const { principal, grants } of changed) {
    const { gone, come } = compareGrants(before.get(principal)?.grants, grants);
    const [had, has] = [new Set(gone.map(grantKey)), new Set(come.map(grantKey))];
    for (const grant of gone) if (!has.has(grantKey(grant))) found.push({ principal, grant });
    for (const grant of come) if (!had.has(grantKey(grant))) found.push({ principal, grant });
  }
  return found;
}
