import { isUtf8 } from 'node:buffer';

/** The text of bytes, which are wiped; undefined where they are not UTF-8. */
export function takeText(bytes: Uint8Array): string | undefined {
  const text = isUtf8(bytes)
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
    : undefined;
  bytes.fill(0);
  return text;
}
