import type { Problem } from '../../src/protocol/interface.generated.ts';
import type { SealedRecord } from '../store/sealed-store.ts';
import type { Digest } from './head.ts';
import type { Principals } from './principals.ts';
import type { CredentialRecord, Space } from './records.ts';
import type { SpaceSummary } from './space-summaries.ts';

/** A credential whose record and kept values do not fit together. */
export interface IncompleteCredential {
  readonly record: CredentialRecord;
  /** Versions whose values cannot be read. */
  readonly unreadable: Set<number>;
}

/** The result of a check, with all that a repair needs. */
export interface Findings {
  readonly problems: readonly Problem[];
  /** False if pages of the file are damaged: the records on them, and what refers to these, are not known then. */
  readonly isWhole: boolean;
  /** False if the pages could not be checked: a record on a damaged page may then seem to have been deleted. */
  readonly areInspected: boolean;
  /** Digest over the records that were read. */
  readonly digest: Digest;
  /** Records that cannot be decrypted or belong to nothing; without bodies. */
  readonly unusable: readonly SealedRecord[];
  readonly incomplete: readonly IncompleteCredential[];
  /** Credentials whose names are not in the list that they refer to. */
  readonly unlisted: readonly CredentialRecord[];
  /** Names without a credential, by the id of their list. */
  readonly namesWithoutCredential: ReadonlyMap<string, ReadonlySet<string>>;
  readonly principals: Principals;
  /** Totals of the readable credentials of each space. */
  readonly spaces: ReadonlyMap<Space, SpaceSummary>;
}
