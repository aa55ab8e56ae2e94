import { createCipheriv, createHash, randomBytes } from 'node:crypto';

/** CRED_AES256_GCM_BY_NULL in systemd's creds-util.h, in the order in which its bytes are written. */
const BY_NULL_KEY = Buffer.from('058469daf6f54324800549da0f8ea2fb', 'hex');
const KEY_BYTES = 32;
const BLOCK_BYTES = 1;
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** USEC_INFINITY: the credential does not expire. */
const NEVER = 0xffff_ffff_ffff_ffffn;
/** struct encrypted_credential_header and struct metadata_credential_header are padded to a multiple of this. */
const ALIGNMENT = 8;

/**
 * Encrypts a credential for `LoadCredentialEncrypted=` (the format of systemd-creds(1), struct
 * encrypted_credential_header in creds-util.c) under systemd's null key.
 *
 * That key is public, so the encryption hides nothing; that is left to the socket. It authenticates the answer: one
 * that is empty, cut off or meant for another name does not decrypt, and the unit does not start. So it fails closed
 * when the daemon is killed while it writes, as a plain answer could not. A host with both a TPM2 and Secure Boot
 * refuses such a credential.
 *
 * header: id, key size, block size, iv size, tag size (u32 each, little-endian), iv, padding; the associated data.
 * plaintext: timestamp, not-after (µs, u64 each), name size (u32), name, padding, value. Then the tag. All in base64.
 *
 * @returns base64, which the caller owns and wipes
 */
export function sealForSystemd(id: string, value: Uint8Array, nowMs: number): Buffer {
  const iv = randomBytes(IV_BYTES);
  const sizes = Buffer.alloc(16);
  for (const [index, size] of [KEY_BYTES, BLOCK_BYTES, IV_BYTES, TAG_BYTES].entries()) {
    sizes.writeUInt32LE(size, 4 * index);
  }
  const header = padded(Buffer.concat([BY_NULL_KEY, sizes, iv]));
  const times = Buffer.alloc(20);
  times.writeBigUInt64LE(BigInt(nowMs) * 1000n, 0);
  times.writeBigUInt64LE(NEVER, 8);
  times.writeUInt32LE(Buffer.byteLength(id), 16);
  const metadata = padded(Buffer.concat([times, Buffer.from(id)]));
  const cipher = createCipheriv('aes-256-gcm', createHash('sha256').digest(), iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(header);
  const sealed = [header, cipher.update(metadata), cipher.update(value), cipher.final(), cipher.getAuthTag()];
  const blob = Buffer.concat(sealed);
  for (const part of sealed) part.fill(0);
  const text = Buffer.from(blob.toString('base64'), 'latin1');
  blob.fill(0);
  return text;
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes], Math.ceil(bytes.length / ALIGNMENT) * ALIGNMENT);
}
