import { scrypt } from 'node:crypto';

import type { SealingKey } from './sealed.ts';
import { ENCRYPT_KEY_BYTES, MAC_KEY_BYTES } from './sealed.ts';

/** Parameters of scrypt (RFC 7914). */
export interface ScryptParameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/**
 * Maximum memory for a derivation. restic stays below 60 MiB when it creates a key, and rustic uses 128 MiB; anyone who
 * can write to the bucket could ask for any amount.
 */
export const SCRYPT_MEMORY_BYTES_MAX: number = 256 * 1024 * 1024;

/**
 * Maximum work for a derivation, as N·r·p. restic aims at half a second when it creates a key, which is about 2^20 on
 * machines of 2020. This is eight times as much.
 */
const SCRYPT_WORK_MAX: number = 2 ** 23;

const KEY_BYTES: number = ENCRYPT_KEY_BYTES + 2 * MAC_KEY_BYTES;

/** Number of derivations that run in libuv's thread pool. */
let pendingDerivations = 0;

/** Tells whether a key is being derived: Node does not exit before that has ended, and it cannot be cancelled. */
export function isDeriving(): boolean {
  return pendingDerivations > 0;
}

/** Tells whether parameters are valid for scrypt at all (RFC 7914, section 6). */
export function isScrypt({ N, r, p }: ScryptParameters): boolean {
  const areCounts = [N, r, p].every((count) => Number.isSafeInteger(count) && count > 0);
  return areCounts && N > 1 && Number.isInteger(Math.log2(N)) && r * p < 2 ** 30;
}

/**
 * Tells whether a derivation stays within the bounds of this file. OpenSSL, like the RFC, refuses N from 2^(16·r) on.
 */
export function isAffordable(parameters: ScryptParameters): boolean {
  const { N, r, p } = parameters;
  const isBounded = memoryOf(parameters) <= SCRYPT_MEMORY_BYTES_MAX && N * r * p <= SCRYPT_WORK_MAX;
  return isBounded && N < 2 ** (16 * r);
}

/**
 * Derives a key from a password, in a thread of libuv's pool. The caller wipes the key.
 *
 * @throws RangeError if the parameters are not valid or out of bounds; callers check them before
 */
export async function deriveKey(
  password: Uint8Array,
  salt: Uint8Array,
  parameters: ScryptParameters,
): Promise<SealingKey> {
  if (!isScrypt(parameters) || !isAffordable(parameters)) throw new RangeError('scrypt parameters out of bounds');
  const options = { ...parameters, maxmem: memoryOf(parameters) };
  const derived = await new Promise<Uint8Array>((resolve, reject) => {
    scrypt(password, salt, KEY_BYTES, options, (error, key) => {
      pendingDerivations -= 1;
      if (error === null) resolve(key);
      else reject(error);
    });
    pendingDerivations += 1;
  });
  return {
    encrypt: derived.subarray(0, ENCRYPT_KEY_BYTES),
    macK: derived.subarray(ENCRYPT_KEY_BYTES, ENCRYPT_KEY_BYTES + MAC_KEY_BYTES),
    macR: derived.subarray(ENCRYPT_KEY_BYTES + MAC_KEY_BYTES),
  };
}

/** The memory that OpenSSL counts: p blocks, N blocks for the table and two to work with, of 128·r bytes each. */
function memoryOf({ N, r, p }: ScryptParameters): number {
  return 128 * r * (N + p + 2);
}
