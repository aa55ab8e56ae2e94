import { scrypt } from 'node:crypto';

import { CredentialError } from '../../src/errors.ts';
import { KEY_BYTES } from './key-memory.ts';
import { randomBytes } from './sodium.ts';

/** Parameters of scrypt (RFC 7914), stored in the slot; `salt` is base64. */
export interface ScryptParameters {
  readonly N: number;
  readonly r: number;
  readonly p: number;
  readonly salt: string;
}

/** OWASP's first choice for scrypt: 128 MiB and about half a second. */
const DEFAULT = { N: 2 ** 17, r: 8, p: 1 };
const SALT_BYTES = 16;

/**
 * Upper bound for the memory that the parameters in a file may require, 128·N·r bytes: twice that of a slot that is
 * created here. An attacker could change a file so that the daemon exceeds the 1 GiB of its unit and is killed.
 */
const MEMORY_BYTES_MAX: number = 256 * 1024 ** 2;
const PARALLELISM_MAX = 16;
/** Block size. The usual one is 8; a larger one needs memory that the bound above does not include. */
const BLOCK_SIZE_MAX = 32;

export function newScryptParameters(): ScryptParameters {
  return { ...DEFAULT, salt: Buffer.from(randomBytes(SALT_BYTES)).toString('base64') };
}

/** Tells whether the parameters of a slot are valid and within the bounds. */
export function areUsable({ N, r, p, salt }: ScryptParameters): boolean {
  const isPowerOfTwo = Number.isSafeInteger(N) && N > 1 && Number.isInteger(Math.log2(N));
  const isBounded = isIntegerUpTo(r, BLOCK_SIZE_MAX) && isIntegerUpTo(p, PARALLELISM_MAX) && N < 2 ** (16 * r);
  return isPowerOfTwo && isBounded && 128 * N * r <= MEMORY_BYTES_MAX && typeof salt === 'string';
}

/**
 * Derives a key from a passphrase, which is normalised to Unicode's composed form (NFC), since keyboards differ. The
 * caller owns and wipes the key.
 *
 * @throws RangeError if the parameters are out of bounds
 * @throws CredentialError `OutOfMemory`
 */
export async function deriveFromPassphrase(passphrase: string, parameters: ScryptParameters): Promise<Uint8Array> {
  if (!areUsable(parameters)) throw new RangeError('scrypt parameters out of bounds');
  const { N, r, p } = parameters;
  const memory = 128 * N * r;
  const text = Buffer.from(passphrase.normalize('NFC'));
  const salt = Buffer.from(parameters.salt, 'base64');
  try {
    return await new Promise((resolve, reject) => {
      scrypt(text, salt, KEY_BYTES, { N, r, p, maxmem: memory + 1024 * 1024 * p }, (error, key) =>
        // Nothing but the allocation can fail: the parameters are valid.
        error === null ? resolve(key) : reject(new CredentialError('OutOfMemory', { bytes: memory }, { cause: error })),
      );
    });
  } finally {
    text.fill(0);
  }
}

function isIntegerUpTo(number: number, max: number): boolean {
  return Number.isSafeInteger(number) && number >= 1 && number <= max;
}
