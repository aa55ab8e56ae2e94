import { Buffer, isUtf8 } from 'node:buffer';
import { decodeBase64 } from './base64.ts';

/** A value as it is in a message: text in `value`, or base64 in `data`; exactly one of the two. */
export interface WireValue {
  readonly value?: string | null;
  readonly data?: string | null;
}

/** A value encoded for a message, in one of the two forms. */
export type EncodedValue = { readonly value: string } | { readonly data: string };

/**
 * How many bytes JSON escapes may add to a short text before it is sent as base64 instead. Below that, text is kept
 * because it is easier to read in a message.
 */
const ESCAPES_BYTES_MAX = 64;

/**
 * Encodes a value for a call: as text if the bytes are UTF-8, otherwise as base64. Text is sent as base64 too if JSON
 * escapes would make it longer than that. The caller still owns the bytes, and has to wipe them.
 *
 * @example
 * await client.call('Create', { credentials: [{ name: 'tls-key', ...encodeValue(await readFile(path)) }] });
 */
export function encodeValue(bytes: Uint8Array): EncodedValue {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isUtf8(buffer)) return { data: buffer.toString('base64') };
  const value = buffer.toString('utf8');
  const escapesBytes = Buffer.byteLength(JSON.stringify(value)) - '""'.length - bytes.length;
  return escapesBytes <= Math.max(ESCAPES_BYTES_MAX, bytes.length / 3)
    ? { value }
    : { data: buffer.toString('base64') };
}

/** Does the same as {@link encodeValue} for a text, and wipes the intermediate bytes. */
export function encodeText(text: string): EncodedValue {
  const bytes = Buffer.from(text);
  const encoded = encodeValue(bytes);
  bytes.fill(0);
  return encoded;
}

/**
 * Decodes a value that was received, for instance a reply of `Get` or a member of a set. Returns undefined if both
 * forms or neither are present, or if `data` is not canonical base64. The caller owns the bytes, and has to wipe them.
 *
 * @example
 * const bytes = decodeValue(await client.call('Get', { name: 'tls-key' }));
 */
export function decodeValue({ value, data }: WireValue): Uint8Array | undefined {
  if (typeof value === 'string') return typeof data === 'string' ? undefined : Buffer.from(value, 'utf8');
  return typeof data === 'string' ? decodeBase64(data) : undefined;
}
