/**
 * The kinds of record. The storage layer below the encryption sees these numbers, opaque tags and opaque bodies, and
 * nothing else. The numbers are part of the file format; none is ever reused with another meaning.
 */
export const KIND = {
  /** The one record with tag `store`: the id of the store, in clear. */
  store: 0,
  /** The one record with tag `head`: sealed; the number of commits and a digest over all other records. */
  head: 1,
  /** An unlock slot: the root key, wrapped. */
  slot: 2,
  /** The data key, wrapped by the root key. */
  dataKey: 3,
  /** What a principal was granted, and what they own; sealed. */
  principal: 4,
  /** Name, owner and versions of a credential, with its current value if that is small; sealed. */
  credential: 5,
  /** A value that is not current, or too large for the record of its credential; sealed. */
  value: 6,
  /** The result of the last validation of a set; sealed. */
  health: 7,
  /** The names of credentials that were created in one commit, so that a lost one can still be named; sealed. */
  names: 8,
} as const;

export type Kind = (typeof KIND)[keyof typeof KIND];

/** The largest body of a record. The largest value, padded and sealed, has a little more than 1 MiB. */
export const BODY_BYTES_MAX: number = 4 * 1024 * 1024;

/** A record as the store holds it: a body, found by its kind and tag. */
export interface SealedRecord {
  readonly kind: Kind;
  readonly tag: Uint8Array;
  readonly body: Uint8Array;
}

/** Reads the last committed state. Every call is synchronous. */
export interface SealedReader {
  get(kind: Kind, tag: Uint8Array): Uint8Array | undefined;
  /** Returns up to `limit` records of a kind in the order of their tags, starting with the first tag after `after`. */
  list(kind: Kind, after: Uint8Array | undefined, limit: number): SealedRecord[];
}

/** A reader with caches of what it read from the disk. */
export interface CachedReader extends SealedReader {
  /**
   * Drops all cached pages, those of the kernel included, so that the next reads come from the disk. For records that
   * cannot be decrypted: the disk may have returned wrong bytes once, and a cache keeps them.
   *
   * @param ageMs nothing is dropped if the caches were dropped less than so many milliseconds ago
   * @returns whether they were dropped
   */
  dropCaches(ageMs: number): boolean;
}

/** Reads the state as of one commit, whatever is committed after it. */
export interface SealedSnapshot extends SealedReader {
  close(): void;
}

/** One open transaction. No reader sees its changes before {@link commit}, and every reader does afterwards. */
export interface SealedTransaction {
  put(record: SealedRecord): void;
  delete(kind: Kind, tag: Uint8Array): void;
  /**
   * Makes the changes durable, all or none. If it fails, the transaction has ended as after {@link rollback}.
   *
   * @param skipsCheckpoint set by a caller that calls `purge` soon: after a large change, a checkpoint takes as long as
   *   the commit
   * @throws StoreError
   */
  commit(skipsCheckpoint?: boolean): void;
  rollback(): void;
}

/**
 * The storage of sealed records. It handles nothing else, so a second implementation, on a server that is not trusted,
 * would see no more than the file of the first one shows.
 */
export interface SealedStore extends CachedReader {
  /**
   * Starts a transaction. Only one can be open at a time; {@link get} and {@link list} work meanwhile.
   *
   * @param expectedHead the body of the head that the changes are based on; undefined for an empty store
   * @throws StoreError `changed_by_other` if the store has another head
   */
  begin(expectedHead: Uint8Array | undefined): SealedTransaction;
  /**
   * Opens a snapshot of the last committed state. Records that are deleted while it is open cannot be purged.
   *
   * @throws StoreError
   */
  openSnapshot(): SealedSnapshot;
  /** Erases deleted records from the storage for good. */
  purge(): void;
  /**
   * Returns the damage that the storage finds in its own pages, as messages in its own words; empty if there is none.
   *
   * @throws StoreError if the pages cannot be checked
   */
  findPageDamage(): Promise<string[]>;
  /** Returns the approximate size of a copy, in bytes. @throws StoreError */
  copyBytes(): number;
  /**
   * Writes the last committed state to a new SQLite file that `SqliteStore` can open. Writes and reads go on meanwhile.
   *
   * @throws StoreError
   */
  copyTo(path: string): Promise<void>;
  close(): void;
}

/** Why an operation of the storage failed. */
export type StoreFailure = 'full' | 'read_only' | 'changed_by_other' | 'damaged' | 'newer' | 'io';

/** A failure of the storage layer. */
export class StoreError extends Error {
  readonly failure: StoreFailure;

  constructor(failure: StoreFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreError';
    this.failure = failure;
  }
}

/** Returns the tag of a kind of which there is exactly one record. */
export function fixedTag(name: 'store' | 'head'): Uint8Array {
  return Buffer.from(name, 'latin1');
}
