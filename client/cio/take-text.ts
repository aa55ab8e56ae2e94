import { isUtf8 } from 'node:buffer';

/** The encoding that the mark at the start of bytes tells (Unicode, 2.6); UTF-16 is what Windows calls Unicode. */
export function markedEncoding(bytes: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-8';
}

/** What there is to say of bytes that are not UTF-8, where text is asked for. */
export function whyNoText(bytes: Uint8Array): string {
  return markedEncoding(bytes) === 'utf-8' ? 'is not UTF-8 text' : 'is UTF-16 text: save it as UTF-8';
}

/** The text of bytes, which are wiped; undefined where they are not UTF-8. */
export function takeText(bytes: Uint8Array): string | undefined {
  const text = isUtf8(bytes)
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
    : undefined;
  bytes.fill(0);
  return text;
}
