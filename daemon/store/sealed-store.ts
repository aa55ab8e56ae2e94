/**
 * What a record is. The store below the sealing sees these numbers, opaque tags and opaque bodies, and nothing else.
 * Numbers are part of the file format; none is ever used again for something else.
 */
export const KIND = {
  /** The one record with tag `store`: the id of the store, in clear. */
  store: 0,
  /** The one record with tag `head`: sealed; the generation of the store and a digest over all other records. */
  head: 1,
  /** An unlock slot: the root key, wrapped. */
  slot: 2,
  /** The data key, wrapped by the root key. */
  dataKey: 3,
  /** Who may do what, and what he owns; sealed. */
  principal: 4,
  /** Name, owner and versions of a credential, with its current value where that is small; sealed. */
  credential: 5,
  /** Another version of a value, or a large one; sealed. */
  value: 6,
  /** Whether a set worked when it was last tried out; sealed. */
  health: 7,
  /** Names of credentials that were made together, so that one that is gone can be named; sealed. */
  names: 8,
} as const;

export type Kind = (typeof KIND)[keyof typeof KIND];

/** The most that the body of a record has: the largest value, padded and sealed, has a little more than 1 MiB. */
export const BODY_BYTES_MAX: number = 4 * 1024 * 1024;

/** A record as the store holds it: body by kind and tag. */
export interface SealedRecord {
  readonly kind: Kind;
  readonly tag: Uint8Array;
  readonly body: Uint8Array;
}

/** Reads what was committed last. Nothing here waits. */
export interface SealedReader {
  get(kind: Kind, tag: Uint8Array): Uint8Array | undefined;
  /** Up to `limit` records of a kind in the order of their tags, from the first tag behind `after`. */
  list(kind: Kind, after: Uint8Array | undefined, limit: number): SealedRecord[];
}

/** Reads one commit, whatever is committed after it. */
export interface SealedSnapshot extends SealedReader {
  close(): void;
}

/** One commit in the making. Its changes are seen by nobody before {@link commit}, and by all after it. */
export interface SealedTransaction {
  put(record: SealedRecord): void;
  delete(kind: Kind, tag: Uint8Array): void;
  /**
   * Makes the changes durable, all or none; where it fails, it is over as after {@link rollback}.
   *
   * @param isPurged `purge` follows soon, so that nothing of it need be done at once: of a large change that takes as long
   *   as the commit
   * @throws StoreError
   */
  commit(isPurged?: boolean): void;
  rollback(): void;
}

/**
 * Where sealed records lie. It deals in nothing else, so that a second implementation, on a server that is not trusted,
 * sees what the file of the first one shows.
 */
export interface SealedStore extends SealedReader {
  /**
   * Starts a transaction; one at a time, which may stay open while {@link get} and {@link list} go on.
   *
   * @param expectedHead the body of the head that the changes were made for; undefined for an empty store
   * @throws StoreError `changed_by_other` where the store has another head
   */
  begin(expectedHead: Uint8Array | undefined): SealedTransaction;
  /** What was committed last, as long as it is open; what is deleted meanwhile cannot be purged. @throws StoreError */
  openSnapshot(): SealedSnapshot;
  /** Takes what was deleted out of the file for good. */
  purge(): void;
  /**
   * What the storage itself finds wrong with its pages, in its own words; empty where nothing is.
   *
   * @throws StoreError where they cannot be looked at
   */
  findPageDamage(): Promise<string[]>;
  /** Bytes that a copy of it has, more or less. @throws StoreError */
  copyBytes(): number;
  /**
   * Makes an SQLite file of what was committed last, as `SqliteStore` opens one. Writes and reads go on meanwhile.
   *
   * @throws StoreError
   */
  copyTo(path: string): Promise<void>;
  close(): void;
}

/** Why the storage did not do what it was asked. */
export type StoreFailure = 'full' | 'read_only' | 'changed_by_other' | 'damaged' | 'newer' | 'io';

/** A failure of the storage below the sealing. */
export class StoreError extends Error {
  readonly failure: StoreFailure;

  constructor(failure: StoreFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.failure = failure;
  }
}

/** The tag of a record that there is one of. */
export function fixedTag(name: 'store' | 'head'): Uint8Array {
  return Buffer.from(name, 'latin1');
}
