import type { ProbeFailure } from '../failure.ts';

/** The operations of an object store that the checks need. They throw a ProbeFailure, or the reason of their signal. */
export interface ObjectStore {
  /** The prefix of every name: empty, or ends with a slash. Names are passed and returned without it. */
  readonly prefix: string;
  /** The folder other than `keys/` in which older versions of restic kept keys in such a store; undefined if none. */
  readonly legacyKeysFolder?: string;
  /** Lists names below a prefix, at most `max`. */
  list(prefix: string, max: number, signal: AbortSignal): Promise<readonly string[]>;
  put(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<Stored>;
  /** Reads an object; undefined if it does not exist. */
  get(name: string, bytesMax: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /**
   * Without a version, deletes an object or, if the store keeps versions, hides it behind a delete marker. With a
   * version, deletes exactly that.
   */
  delete(name: string, version: string | undefined, signal: AbortSignal): Promise<Stored>;
}

/** An object store in a bucket that can be created. */
export interface BucketStore extends ObjectStore {
  /** The name of the bucket; empty if the set names none. */
  readonly bucket: string;
  /**
   * Sends the first request, which shows whether the keys are valid: for a list of names or, without a bucket, for
   * whatever else the provider can list.
   */
  tryKeys(signal: AbortSignal): Promise<void>;
  /** Creates the bucket, in the set's region if it names one. Returns false if the bucket exists by now and is ours. */
  makeBucket(signal: AbortSignal): Promise<boolean>;
  /** Deletes the bucket if it is empty, and fails otherwise. */
  removeBucket(signal: AbortSignal): Promise<void>;
}

/** What a write or a deletion left in a store. */
export interface Stored {
  /** If the store keeps versions: the id of the version that was written, or of the marker of a deletion. */
  readonly version?: string;
  /** Whether the request was sent twice: then there may be another version or marker, whose id is unknown. */
  readonly isRepeated?: boolean;
  /**
   * If the object could be written only without a setting of the set, such as the storage class: why that was refused.
   */
  readonly refused?: ProbeFailure;
}
