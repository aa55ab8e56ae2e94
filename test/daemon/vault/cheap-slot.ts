import { scryptSync } from 'node:crypto';
import official from 'libsodium-wrappers';
import type { SlotRecord } from '../../../daemon/vault/slots.ts';

/**
 * Makes a passphrase slot whose scrypt cost is negligible, from docs/file-format.md and libsodium's official functions.
 * The slots that the daemon makes take half a second for each attempt.
 */
export async function cheapPassphraseSlot(
  storeId: Uint8Array,
  rootKey: Uint8Array,
  passphrase: string,
  id = '0123abcd',
): Promise<SlotRecord> {
  await official.ready;
  const scrypt = { N: 16, r: 1, p: 1, salt: Buffer.from('salt').toString('base64') };
  const clear = { id, kind: 'passphrase', created: 1, scrypt } as const;
  const derived = scryptSync(passphrase.normalize('NFC'), 'salt', 32, scrypt);
  const slotKey = official.crypto_generichash(32, Buffer.from(`cio-slot-1\0${id}`), derived);
  const fields = Object.entries(clear).toSorted(([a], [b]) => a.localeCompare(b, 'en'));
  const associated = Buffer.concat([Buffer.from('cio-slot-1\0'), storeId, Buffer.from(JSON.stringify(fields))]);
  const nonce = official.randombytes_buf(24);
  const cipher = official.crypto_aead_xchacha20poly1305_ietf_encrypt(rootKey, associated, null, nonce, slotKey);
  return { ...clear, wrapped: Buffer.concat([nonce, cipher]).toString('base64') };
}
