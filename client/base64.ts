/**
 * Decodes base64 (RFC 4648, padded, without line breaks). Returns undefined for any text that is not the canonical
 * encoding of some bytes. `Buffer` alone would skip invalid characters.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}
