import { compareGrants, grantKey } from './grant-index.ts';
import type { Principals } from './principals.ts';
import type { CredentialRecord, GrantEntry, HealthRecord, PrincipalId, PrincipalRecord } from './records.ts';

/** What a commit changed of what anybody can see. */
export interface VaultChange {
  /** Credentials that were made, got another version, or were removed; some more than once. */
  readonly credentials: readonly CredentialRecord[];
  /** What is newly known of sets. */
  readonly healths: readonly HealthRecord[];
  /** What was granted, and what was taken back. */
  readonly grants: readonly ChangedGrant[];
}

export interface ChangedGrant {
  readonly principal: PrincipalId;
  readonly grant: GrantEntry;
}

/** Compares the grants before a commit with those of the records that it changes. */
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
