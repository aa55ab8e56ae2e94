/** An object whose members are not known yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Parses a JSON object. Returns undefined for anything else; V8's own error message, which quotes the text, is dropped.
 */
export function parseObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    return asObject(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')));
  } catch {
    return undefined;
  }
}

/** Returns the value if it is an object, and undefined for anything else, arrays included. */
export function asObject(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** Decodes padded base64 (RFC 4648, section 4), as Go's encoding/json writes bytes. Undefined for any other text. */
export function decodeBase64(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'string') return undefined;
  // Node's decoder skips invalid characters and adds missing padding, so the text is compared with its encoding.
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') === value) return bytes;
  bytes.fill(0);
  return undefined;
}
