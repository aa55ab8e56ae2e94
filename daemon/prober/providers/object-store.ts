import type { ProbeFailure } from '../failure.ts';

/** What the chain needs of a place where objects lie. Every call throws a ProbeFailure, or the reason of its signal. */
export interface ObjectStore {
  /** Before every name: empty, or with a slash at its end. Names are given and taken without it. */
  readonly prefix: string;
  /** The folder besides `keys/` in which restic once kept keys at such a store; undefined: there was none. */
  readonly formerKeys?: string;
  /** Names below a prefix, at most `max`. */
  list(prefix: string, max: number, signal: AbortSignal): Promise<readonly string[]>;
  put(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<Stored>;
  /** Undefined where there is no such object. */
  get(name: string, bytesMax: number, signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** Takes an object away or, where the store keeps versions, hides it behind a marker; with a version: exactly that. */
  delete(name: string, version: string | undefined, signal: AbortSignal): Promise<Stored>;
}

/** A store that can be made. */
export interface BucketStore extends ObjectStore {
  /** What it is called; empty where the set names none. */
  readonly bucket: string;
  /** The first request, which shows whether the keys are good: for a list of names or, without a bucket, whatever there is. */
  knock(signal: AbortSignal): Promise<void>;
  /** Makes it, where the set says it shall lie; false where it was there by then, and is ours. */
  makeBucket(signal: AbortSignal): Promise<boolean>;
  /** Takes it away where it is empty, and otherwise fails. */
  removeBucket(signal: AbortSignal): Promise<void>;
}

/** What a write left in a store. */
export interface Stored {
  /** Of the object that was put, or of the marker that hides one that was deleted, where the store keeps versions. */
  readonly version?: string;
  /** Whether the server was asked twice: then there may be another version besides, which nobody knows. */
  readonly isRepeated?: boolean;
  /** What is wrong with how the set wants objects to be kept, where the object could be put without that only. */
  readonly refused?: ProbeFailure;
}
