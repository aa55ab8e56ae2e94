const LENGTH_BYTES = 4;
const PADDED_BYTES_MIN = 256;

/**
 * Frames a text so that its sealed form shows its size only roughly: length (u32, big-endian) ‖ text ‖ zeros, up to a
 * size of Padmé's (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files", 2019: at most 12 % more), and never
 * under 256 bytes. The caller owns and wipes it.
 *
 * @param scratch zeros; the result lies in it where it is large enough
 */
export function pad(text: Uint8Array, scratch?: Uint8Array): Uint8Array {
  const bytes = padme(Math.max(PADDED_BYTES_MIN, LENGTH_BYTES + text.length));
  const padded = scratch !== undefined && bytes <= scratch.length ? scratch.subarray(0, bytes) : new Uint8Array(bytes);
  new DataView(padded.buffer, padded.byteOffset).setUint32(0, text.length);
  padded.set(text, LENGTH_BYTES);
  return padded;
}

/** The text in what {@link pad} made, as a view of the same bytes; undefined where the length does not fit. */
export function unpad(padded: Uint8Array): Uint8Array | undefined {
  if (padded.length < LENGTH_BYTES) return undefined;
  const length = (byteAt(padded, 0) * 256 + byteAt(padded, 1)) * 65_536 + byteAt(padded, 2) * 256 + byteAt(padded, 3);
  return length <= padded.length - LENGTH_BYTES ? padded.subarray(LENGTH_BYTES, LENGTH_BYTES + length) : undefined;
}

function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] ?? 0;
}

/** The next size of Padmé's. */
export function padme(length: number): number {
  const exponent = Math.floor(Math.log2(length));
  const lastBits = exponent - (Math.floor(Math.log2(exponent)) + 1);
  const mask = 2 ** lastBits - 1;
  return Math.ceil(length / (mask + 1)) * (mask + 1);
}
