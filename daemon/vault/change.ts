import type { CredentialRecord, GrantEntry, HealthRecord, PrincipalId } from './records.ts';

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
