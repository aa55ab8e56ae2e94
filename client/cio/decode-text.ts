import { isUtf8 } from 'node:buffer';
import { CommandError } from './command-error.ts';

/**
 * Detects the encoding of text by its byte order mark (Unicode, 2.6), else by the NULs in its first two characters,
 * which are assumed to be ASCII (RFC 4627, 3). UTF-16 is what Windows calls Unicode.
 */
export function encodingOf(bytes: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  if ((a === 0xff && b === 0xfe) || (a && !b && c && !d)) return 'utf-16le';
  return (a === 0xfe && b === 0xff) || (!a && b && !c && d) ? 'utf-16be' : 'utf-8';
}

/** Decodes bytes as text, and wipes them. Returns undefined if they are not UTF-8. */
export function decodeAndWipe(bytes: Uint8Array): string | undefined {
  const text = isUtf8(bytes)
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
    : undefined;
  bytes.fill(0);
  return text;
}

/**
 * Decodes bytes that must be text, and wipes them.
 *
 * @param what the source of the text, as a message calls it
 * @param end appended to the message
 * @throws CommandError `InvalidInput`
 */
export function requireText(bytes: Uint8Array, what: string, end = ''): string {
  const isUtf16 = encodingOf(bytes) !== 'utf-8';
  const text = decodeAndWipe(bytes);
  if (text !== undefined && !isUtf16) return text;
  const reason = isUtf16 ? 'is UTF-16 text: save it as UTF-8' : 'is not UTF-8 text';
  throw new CommandError('InvalidInput', `${what} ${reason}${end}`);
}
