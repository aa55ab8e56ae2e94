import { Buffer, isUtf8 } from 'node:buffer';
import { decodeBase64 } from './base64.ts';

/** A value as it travels: `value` for text, else `data` in base64; exactly one of the two. */
export interface WireValue {
  readonly value?: string | null;
  readonly data?: string | null;
}

/** A value that is ready to travel, in one of the two forms. */
export type EncodedValue = { readonly value: string } | { readonly data: string };

/** What JSON's escapes may add to a short text before it goes as bytes: text is easier on whoever reads it. */
const ESCAPES_BYTES_MAX = 64;

/** The form in which a value travels. Text that JSON would blow up to more than its base64 goes as bytes. */
export function encodeValue(bytes: Uint8Array): EncodedValue {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isUtf8(buffer)) return { data: buffer.toString('base64') };
  const value = buffer.toString('utf8');
  const escapesBytes = Buffer.byteLength(JSON.stringify(value)) - '""'.length - bytes.length;
  return escapesBytes <= Math.max(ESCAPES_BYTES_MAX, bytes.length / 3)
    ? { value }
    : { data: buffer.toString('base64') };
}

/** The same for text; the bytes in between are wiped. */
export function encodeText(text: string): EncodedValue {
  const bytes = Buffer.from(text);
  const encoded = encodeValue(bytes);
  bytes.fill(0);
  return encoded;
}

/** The bytes of a value that arrived. Undefined where neither, or both, of the forms are there, or base64 is not. */
export function decodeValue({ value, data }: WireValue): Uint8Array | undefined {
  if (typeof value === 'string') return typeof data === 'string' ? undefined : Buffer.from(value, 'utf8');
  return typeof data === 'string' ? decodeBase64(data) : undefined;
}
