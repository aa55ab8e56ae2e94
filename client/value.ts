import { Buffer, isUtf8 } from 'node:buffer';

/** A value as it travels: `value` for text, else `data` in base64; exactly one of the two. */
export interface WireValue {
  readonly value?: string | null;
  readonly data?: string | null;
}

/** Characters that JSON writes in more bytes than they have. */
const ESCAPED = /[\u0000-\u001f"\\]/g;

/** The form in which a value travels. Text that JSON would blow up to more than its base64 goes as bytes. */
export function encodeValue(bytes: Uint8Array): { readonly value: string } | { readonly data: string } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!isUtf8(buffer)) return { data: buffer.toString('base64') };
  const value = buffer.toString('utf8');
  // An escape such as \u0000 adds five bytes; base64 adds a third.
  const escapes = value.match(ESCAPED)?.length ?? 0;
  return escapes * 5 <= bytes.length / 3 ? { value } : { data: buffer.toString('base64') };
}

/** The bytes of a value that arrived. Undefined where neither, or both, of the forms are there, or base64 is not. */
export function decodeValue({ value, data }: WireValue): Uint8Array | undefined {
  if (typeof value === 'string') return typeof data === 'string' ? undefined : Buffer.from(value, 'utf8');
  if (typeof data !== 'string') return undefined;
  const bytes = Buffer.from(data, 'base64');
  return bytes.toString('base64') === data ? bytes : undefined;
}
