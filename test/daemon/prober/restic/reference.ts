import { createCipheriv, createHash, randomBytes, scryptSync } from 'node:crypto';
import type { SealingKey } from '../../../../daemon/prober/restic/sealed.ts';

const PRIME = 2n ** 130n - 5n;
const CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn;

/** Poly1305 by its definition (RFC 8439, section 2.5.1), with one line of arithmetic per step, not in constant time. */
export function referencePoly1305(r: Uint8Array, s: Uint8Array, message: Uint8Array): Uint8Array {
  let sum = 0n;
  for (let offset = 0; offset < message.length; offset += 16) {
    const part = message.subarray(offset, offset + 16);
    sum = ((sum + toNumber(part) + 2n ** BigInt(8 * part.length)) * (toNumber(r) & CLAMP)) % PRIME;
  }
  const tag = (sum + toNumber(s)) % 2n ** 128n;
  return Uint8Array.from({ length: 16 }, (_, index) => Number((tag >> BigInt(8 * index)) & 255n));
}

function toNumber(bytes: Uint8Array): bigint {
  return bytes.reduceRight((number, byte) => number * 256n + BigInt(byte), 0n);
}

/** Seals like restic. */
export function seal(key: SealingKey, text: Uint8Array, nonce: Uint8Array = randomBytes(16)): Uint8Array {
  const ciphertext = createCipheriv('aes-256-ctr', key.encrypt, nonce).update(text);
  const s = createCipheriv('aes-128-ecb', key.macK, null).setAutoPadding(false).update(nonce);
  return Buffer.concat([nonce, ciphertext, referencePoly1305(key.macR, s, ciphertext)]);
}

export function randomKey(): SealingKey {
  return { encrypt: randomBytes(32), macK: randomBytes(16), macR: randomBytes(16) };
}

export function masterJson(key: SealingKey): string {
  const [encrypt, k, r] = [key.encrypt, key.macK, key.macR].map((part) => Buffer.from(part).toString('base64'));
  return JSON.stringify({ mac: { k, r }, encrypt });
}

export interface KeyFileOptions {
  readonly password: string;
  readonly master: SealingKey;
  /** The text to seal, if not the master key's own. */
  readonly text?: string;
  readonly nonce?: Uint8Array;
  /** Members that differ from what restic would write. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** Makes a key file, with scrypt parameters that cost nothing. */
export function makeKeyFile({ password, master, text, nonce, members }: KeyFileOptions): NamedFile {
  const salt = randomBytes(64);
  const derived = scryptSync(password, salt, 64, { N: 2, r: 1, p: 1 });
  const key = { encrypt: derived.subarray(0, 32), macK: derived.subarray(32, 48), macR: derived.subarray(48) };
  const data = seal(key, Buffer.from(text ?? masterJson(master)), nonce);
  const object = {
    created: '2021-05-03T10:00:00.000000000+02:00',
    username: 'backup',
    hostname: 'host.example',
    kdf: 'scrypt',
    N: 2,
    r: 1,
    p: 1,
    salt: salt.toString('base64'),
    data: Buffer.from(data).toString('base64'),
    ...members,
  };
  return named(Buffer.from(JSON.stringify(object)));
}

/** A file in `keys/`. */
export interface NamedFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Returns a file with the name for these bytes. */
export function named(bytes: Uint8Array): NamedFile {
  return { name: createHash('sha256').update(bytes).digest('hex'), bytes };
}
