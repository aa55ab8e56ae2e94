import { asObject, decodeBase64, parseObject } from '../json.ts';
import { parseKeyFile } from './key-file.ts';
import type { Refusal } from './refusal.ts';
import { deriveKey } from './scrypt.ts';
import type { SealingKey } from './sealed.ts';
import { ENCRYPT_KEY_BYTES, isUsable, MAC_KEY_BYTES, openSealed, wipe, wipeKey } from './sealed.ts';

/**
 * Decrypts the master key of a repository from one of its key files. The caller wipes the key with `wipeKey`.
 *
 * As in restic, only a tag that does not match means a wrong password, after which the next key is tried. Any other
 * fault of the file ends the search.
 *
 * @param name the name of the file below `keys/`
 */
export async function openKey(password: Uint8Array, bytes: Uint8Array, name: string): Promise<SealingKey | Refusal> {
  const file = parseKeyFile(bytes, name);
  if ('reason' in file) return file;
  const derived = await deriveKey(password, file.salt, file.parameters);
  try {
    const text = openSealed(derived, file.sealed);
    if (text === 'unauthenticated') return { reason: 'wrong_password' };
    const master = text === 'malformed' ? undefined : takeMasterKey(text);
    return master ?? { reason: 'not_a_repository', subject: `keys/${name}` };
  } finally {
    wipeKey(derived);
  }
}

/** Parses `{"mac":{"k","r"},"encrypt"}`, and wipes the text. */
function takeMasterKey(text: Uint8Array): SealingKey | undefined {
  const object = parseObject(text);
  wipe(text);
  const mac = asObject(object?.['mac']);
  const encrypt = decodeBase64(object?.['encrypt']);
  const macK = decodeBase64(mac?.['k']);
  const macR = decodeBase64(mac?.['r']);
  if (isOfLength(encrypt, ENCRYPT_KEY_BYTES) && isOfLength(macK, MAC_KEY_BYTES) && isOfLength(macR, MAC_KEY_BYTES)) {
    const key = { encrypt, macK, macR };
    if (isUsable(key)) return key;
  }
  wipe(encrypt, macK, macR);
  return undefined;
}

function isOfLength(bytes: Uint8Array | undefined, length: number): bytes is Uint8Array {
  return bytes?.length === length;
}
