import { isUtf8 } from 'node:buffer';

import { CredentialError } from '../../src/errors.ts';
import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import type { NewCredential } from '../../src/protocol/interface.generated.ts';

const UTF_8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Returns a value in its wire form: as text if it is UTF-8, else in base64. The caller still owns the bytes. */
export function toWire(value: Uint8Array): { readonly value: string } | { readonly data: string } {
  if (isUtf8(value)) return { value: UTF_8.decode(value) };
  return { data: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
}

/**
 * Returns the bytes of a value in its wire form, which the caller owns and wipes.
 *
 * @throws CredentialError `InvalidValue`, `TooLarge`
 */
export function fromWire(name: string, { value, data }: Pick<NewCredential, 'value' | 'data'>): Uint8Array {
  const bytes = textBytes(name, value ?? undefined, data ?? undefined);
  if (bytes.length === 0) throw new CredentialError('InvalidValue', { name, reason: 'it is empty' });
  if (bytes.length > VALUE_BYTES_MAX) throw new CredentialError('TooLarge', { limit: VALUE_BYTES_MAX });
  return bytes;
}

function textBytes(name: string, value: string | undefined, data: string | undefined): Uint8Array {
  if ((value === undefined) === (data === undefined)) {
    throw new CredentialError('InvalidValue', { name, reason: 'exactly one of value and data is needed' });
  }
  if (value !== undefined) {
    if (!value.isWellFormed())
      throw new CredentialError('InvalidValue', { name, reason: 'it is not valid Unicode text' });
    return Buffer.from(value);
  }
  const bytes = Buffer.from(data ?? '', 'base64');
  // Node skips what is not base64. If it did, encoding the bytes again gives a different text.
  if (bytes.toString('base64') !== data) {
    throw new CredentialError('InvalidValue', { name, reason: 'its data is not valid base64' });
  }
  return bytes;
}
