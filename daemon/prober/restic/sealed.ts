import { createCipheriv, createDecipheriv, timingSafeEqual } from 'node:crypto';

import { poly1305, TAG_BYTES } from './poly1305.ts';

/**
 * What restic seals a file with: the key that is derived from a password, and the master key of a repository.
 * Whoever got it wipes it by {@link wipeKey}.
 */
export interface SealingKey {
  /** For AES-256 in counter mode. */
  readonly encrypt: Uint8Array;
  /** For AES-128, which makes of each nonce the second half of a key of Poly1305. */
  readonly macK: Uint8Array;
  /** The first half. */
  readonly macR: Uint8Array;
}

export const ENCRYPT_KEY_BYTES = 32;
export const MAC_KEY_BYTES = 16;
const NONCE_BYTES = 16;

/** What sealing adds to a text: the nonce in front and the tag behind. */
export const SEAL_BYTES: number = NONCE_BYTES + TAG_BYTES;

export function wipeKey(key: SealingKey): void {
  wipe(key.encrypt, key.macK, key.macR);
}

/** Overwrites secrets with zeros. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}

/** Tells whether restic would work with a key: no part of it is all zeros. */
export function isUsable(key: SealingKey): boolean {
  return [key.encrypt, key.macK, key.macR].every((part) => part.some((byte) => byte !== 0));
}

/**
 * Opens nonce ‖ ciphertext ‖ tag: AES-256-CTR under Poly1305-AES of the ciphertext (restic's `internal/crypto`).
 *
 * @returns the text, which the caller wipes; `malformed` is what restic takes for an error and never for a wrong key
 */
export function openSealed(key: SealingKey, sealed: Uint8Array): Uint8Array | 'malformed' | 'unauthenticated' {
  const nonce = sealed.subarray(0, NONCE_BYTES);
  if (sealed.length < SEAL_BYTES || nonce.every((byte) => byte === 0) || !isUsable(key)) return 'malformed';
  const ciphertext = sealed.subarray(NONCE_BYTES, -TAG_BYTES);
  const oneTime = encryptBlock(key.macK, nonce);
  const tag = poly1305(key.macR, oneTime, ciphertext);
  const isAuthentic = timingSafeEqual(tag, sealed.subarray(-TAG_BYTES));
  // The right tag of a forged text would let it pass.
  wipe(oneTime, tag);
  if (!isAuthentic) return 'unauthenticated';
  // In counter mode, the last call has nothing to add.
  return createDecipheriv('aes-256-ctr', key.encrypt, nonce).update(ciphertext);
}

function encryptBlock(key: Uint8Array, block: Uint8Array): Uint8Array {
  return createCipheriv('aes-128-ecb', key, null).setAutoPadding(false).update(block);
}
