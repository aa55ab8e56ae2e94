const LENGTH_BYTES = 4;
const PADDED_BYTES_MIN = 256;

/**
 * Pads a text so that its sealed form reveals its size only roughly: length (u32, big-endian) ‖ text ‖ zeros, up to a
 * Padmé size (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", 2019: at most 12 % more), and to at
 * least 256 bytes. The caller owns and wipes the result.
 *
 * @param scratch all zeros; used for the result if it is large enough
 */
export function pad(text: Uint8Array, scratch?: Uint8Array): Uint8Array {
  const bytes = padme(Math.max(PADDED_BYTES_MIN, LENGTH_BYTES + text.length));
  const padded = scratch !== undefined && bytes <= scratch.length ? scratch.subarray(0, bytes) : new Uint8Array(bytes);
  new DataView(padded.buffer, padded.byteOffset).setUint32(0, text.length);
  padded.set(text, LENGTH_BYTES);
  return padded;
}

/** Returns the text in the result of {@link pad}, as a view; undefined if its length is invalid. */
export function unpad(padded: Uint8Array): Uint8Array | undefined {
  if (padded.length < LENGTH_BYTES) return undefined;
  const length = (byteAt(padded, 0) * 256 + byteAt(padded, 1)) * 65_536 + byteAt(padded, 2) * 256 + byteAt(padded, 3);
  return length <= padded.length - LENGTH_BYTES ? padded.subarray(LENGTH_BYTES, LENGTH_BYTES + length) : undefined;
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}

/** Returns the next Padmé size. */
export function padme(length: number): number {
  const exponent = Math.floor(Math.log2(length));
  const lastBits = exponent - (Math.floor(Math.log2(exponent)) + 1);
  const mask = 2 ** lastBits - 1;
  return Math.ceil(length / (mask + 1)) * (mask + 1);
}
