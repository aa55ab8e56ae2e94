import { parseObject } from '../json.ts';
import type { Refusal } from './refusal.ts';
import type { SealingKey } from './sealed.ts';
import { openSealed, SEAL_BYTES, wipe } from './sealed.ts';

/** The contents of a repository's file `config`. */
export interface RepositoryConfig {
  readonly version: RepositoryVersion;
  /** 64 hexadecimal digits. */
  readonly id: string;
}

/** All versions: restic's `MinRepoVersion` to `MaxRepoVersion`. */
type RepositoryVersion = 1 | 2;

/** Largest `config` that is accepted; restic's have 155 bytes. */
export const CONFIG_BYTES_MAX = 4096;

const REFUSAL: Refusal = { reason: 'not_a_repository', subject: 'config' };
const ID = /^[0-9a-f]{64}$/;
/** A polynomial over GF(2) in hex. That it is irreducible, as restic requires, is left to the holder of the key. */
const POLYNOMIAL = /^[0-9a-f]{1,16}$/i;

/** Tells whether a file has a length that a `config` can have, which is checked before a key is derived. */
export function isConfigLength(bytes: number): boolean {
  return bytes > SEAL_BYTES && bytes <= CONFIG_BYTES_MAX;
}

/** Decrypts `config` with the master key. In both versions it is encrypted JSON and never compressed. */
export function openConfig(master: SealingKey, bytes: Uint8Array): RepositoryConfig | Refusal {
  if (!isConfigLength(bytes.length)) return REFUSAL;
  const text = openSealed(master, bytes);
  if (typeof text === 'string') return REFUSAL;
  const object = parseObject(text);
  // The text holds the polynomial, which decides where files are split into chunks, and which restic keeps secret.
  wipe(text);
  const { version, id, chunker_polynomial: polynomial } = object ?? {};
  if (version !== 1 && version !== 2) return REFUSAL;
  if (typeof id !== 'string' || !ID.test(id)) return REFUSAL;
  if (typeof polynomial !== 'string' || !POLYNOMIAL.test(polynomial)) return REFUSAL;
  return { version, id };
}
