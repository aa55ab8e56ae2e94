/** An object whose members are not known yet. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Reads one JSON object. Undefined where it is none; V8's own message, which quotes the text, goes nowhere. */
export function parseObject(bytes: Uint8Array): JsonObject | undefined {
  try {
    return asObject(JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')));
  } catch {
    return undefined;
  }
}

/** Undefined for what is no object, and for a list. */
export function asObject(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** Reads padded base64 (RFC 4648, section 4), in which Go's encoding/json writes bytes. Undefined for every other text. */
export function decodeBase64(value: unknown): Uint8Array | undefined {
  if (typeof value !== 'string') return undefined;
  // Node skips what is no base64 and fills up what is missing.
  const bytes = Buffer.from(value, 'base64');
  if (bytes.toString('base64') === value) return bytes;
  bytes.fill(0);
  return undefined;
}
