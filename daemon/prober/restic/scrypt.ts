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
 * Most memory for a derivation. restic stays below 60 MiB when it makes a key, rustic takes 128 MiB; whoever can write
 * to the bucket could ask for any amount.
 */
export const SCRYPT_MEMORY_BYTES_MAX: number = 256 * 1024 * 1024;

/**
 * Most work for a derivation, as N·r·p: restic aims at half a second when it makes a key, which is about 2^20 on the
 * machines of 2020. This is eight times as much.
 */
const SCRYPT_WORK_MAX: number = 2 ** 23;

const KEY_BYTES: number = ENCRYPT_KEY_BYTES + 2 * MAC_KEY_BYTES;

/** Derivations in threads of this process's pool. */
let underWay = 0;

/** Tells whether a key is being derived: Node does not end before that does, and nothing stops it. */
export function isDeriving(): boolean {
  return underWay > 0;
}

/** Tells whether these are parameters of scrypt at all: RFC 7914, section 6. */
export function isScrypt({ N, r, p }: ScryptParameters): boolean {
  const areCounts = [N, r, p].every((count) => Number.isSafeInteger(count) && count > 0);
  return areCounts && N > 1 && Number.isInteger(Math.log2(N)) && r * p < 2 ** 30;
}

/** Tells whether a derivation stays within the bounds here. OpenSSL refuses N from 2^(16·r) on, as the RFC does. */
export function isAffordable(parameters: ScryptParameters): boolean {
  const { N, r, p } = parameters;
  const isBounded = memoryOf(parameters) <= SCRYPT_MEMORY_BYTES_MAX && N * r * p <= SCRYPT_WORK_MAX;
  return isBounded && N < 2 ** (16 * r);
}

/**
 * The key that a password makes, which the caller wipes. It works in a thread of libuv's pool.
 *
 * @throws RangeError where the parameters were not checked before
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
      underWay -= 1;
      if (error === null) resolve(key);
      else reject(error);
    });
    underWay += 1;
  });
  return {
    encrypt: derived.subarray(0, ENCRYPT_KEY_BYTES),
    macK: derived.subarray(ENCRYPT_KEY_BYTES, ENCRYPT_KEY_BYTES + MAC_KEY_BYTES),
    macR: derived.subarray(ENCRYPT_KEY_BYTES + MAC_KEY_BYTES),
  };
}

/** What OpenSSL counts: p blocks, N blocks for the table and two to work with, of 128·r bytes each. */
function memoryOf({ N, r, p }: ScryptParameters): number {
  return 128 * r * (N + p + 2);
}
