import type { Credential, Set as CredentialSet } from '../../../src/protocol/interface.generated.ts';

/** The credentials and sets of a listing, in the order in which they are shown. */
export interface Listing {
  readonly credentials: readonly Credential[];
  readonly sets: readonly CredentialSet[];
  /** Number of records that could not be read, and are not listed. */
  readonly damaged: number;
}

/** The settings with which a listing is formatted. */
export interface View {
  readonly nowMs: number;
  /** Columns of the terminal; undefined if the output does not go to one. */
  readonly width: number | undefined;
  /** Returns the name of an owner. */
  readonly ownerOf: (uid: number) => string;
}
