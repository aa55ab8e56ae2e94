import type { Credential, Set as CredentialSet } from '../../../src/protocol/interface.generated.ts';

/** What is listed, in the order in which it is shown. */
export interface Listing {
  readonly credentials: readonly Credential[];
  readonly sets: readonly CredentialSet[];
  /** Records that could not be read, and are left out. */
  readonly damaged: number;
}

/** What a listing is shown with. */
export interface View {
  readonly nowMs: number;
  /** Columns of the terminal; undefined where it goes somewhere else. */
  readonly width: number | undefined;
  /** What an owner is called. */
  readonly ownerOf: (uid: number) => string;
}
