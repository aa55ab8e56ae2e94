import type { Problem } from '../../src/protocol/interface.generated.ts';
import type { SealedRecord } from '../store/sealed-store.ts';
import type { Digest } from './head.ts';
import type { Principals } from './principals.ts';
import type { CredentialRecord, Space } from './records.ts';

/** A credential whose record and kept values do not fit together. */
export interface IncompleteCredential {
  readonly record: CredentialRecord;
  /** Versions whose values cannot be read. */
  readonly unreadable: Set<number>;
}

/** What a check found, and what a repair needs of it. */
export interface Findings {
  readonly problems: readonly Problem[];
  /** False where pages of the file are damaged: what lies on them, and what refers to it, is not known then. */
  readonly isWhole: boolean;
  /** False where nobody could look at the pages: a record on a damaged one may then look like one that was deleted. */
  readonly areInspected: boolean;
  /** Over the records that are there. */
  readonly digest: Digest;
  /** Records that do not open, or belong to nothing. */
  readonly unusable: readonly SealedRecord[];
  readonly incomplete: readonly IncompleteCredential[];
  /** Credentials that are not in the list that should have their names. */
  readonly unlisted: readonly CredentialRecord[];
  /** Names in lists, by the id of the list, of which there is no credential. */
  readonly stale: ReadonlyMap<string, ReadonlySet<string>>;
  readonly principals: Principals;
  /** What the readable credentials of each space add up to. */
  readonly spaces: ReadonlyMap<Space, SpaceSummary>;
}

/** Of a space without credentials. */
export const NOTHING: SpaceSummary = { generation: 0, count: 0, names: [], bytes: 0 };

/** What the readable credentials of one space add up to. */
export interface SpaceSummary {
  /** The highest generation of a version. */
  generation: number;
  count: number;
  /** Of one user's space: its names, and the bytes of all its values. The shared space has no list of either. */
  readonly names: string[];
  bytes: number;
}
