import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';

import { poly1305, TAG_BYTES } from './poly1305.ts';

/**
 * A key with which restic encrypts and authenticates files: either derived from a password, or the master key of a
 * repository. The owner wipes it with {@link wipeKey}.
 */
export interface SealingKey {
  /** For AES-256 in counter mode. */
  readonly encrypt: Uint8Array;
  /** For AES-128, which encrypts each nonce to the second half of the Poly1305 key. */
  readonly macK: Uint8Array;
  /** The first half of the Poly1305 key. */
  readonly macR: Uint8Array;
}

export const ENCRYPT_KEY_BYTES = 32;
export const MAC_KEY_BYTES = 16;
const NONCE_BYTES = 16;

/** Bytes that sealing adds: the nonce before the ciphertext, and the tag after it. */
export const SEAL_BYTES: number = NONCE_BYTES + TAG_BYTES;

export function wipeKey(key: SealingKey): void {
  wipe(key.encrypt, key.macK, key.macR);
}

/** Overwrites secrets with zeros. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}

/** Tells whether restic would accept a key: no part of it is all zeros. */
export function isUsable(key: SealingKey): boolean {
  return [key.encrypt, key.macK, key.macR].every((part) => part.some((byte) => byte !== 0));
}

/**
 * Decrypts nonce ‖ ciphertext ‖ tag: AES-256-CTR, authenticated by Poly1305-AES over the ciphertext (restic's
 * `internal/crypto`).
 *
 * @returns the plaintext, which the caller wipes; `malformed` if restic would report an error rather than a wrong key
 */
export function openSealed(key: SealingKey, sealed: Uint8Array): Uint8Array | 'malformed' | 'unauthenticated' {
  const nonce = sealed.subarray(0, NONCE_BYTES);
  if (sealed.length < SEAL_BYTES || nonce.every((byte) => byte === 0) || !isUsable(key)) return 'malformed';
  const ciphertext = sealed.subarray(NONCE_BYTES, -TAG_BYTES);
  const oneTime = encryptBlock(key.macK, nonce);
  const tag = poly1305(key.macR, oneTime, ciphertext);
  const isAuthentic = timingSafeEqual(tag, sealed.subarray(-TAG_BYTES));
  // With the correct tag, a forged ciphertext would be accepted, so the tag does not stay in memory.
  wipe(oneTime, tag);
  if (!isAuthentic) return 'unauthenticated';
  // In counter mode, final() would return nothing.
  return createDecipheriv('aes-256-ctr', key.encrypt, nonce).update(ciphertext);
}

function encryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  return createCipheriv('aes-128-ecb', key, null).setAutoPadding(false).update(block);
}
