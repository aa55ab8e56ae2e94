import { KEY_BYTES, bytesOutsideHeap } from './key-memory.ts';

/**
 * Keys in base64 (RFC 4648, section 4), from bytes to bytes: a JavaScript string cannot be wiped, and stays in V8's
 * heap until that memory is reused.
 */

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PADDING = 0x3d;
const CR = 0x0d;
const LF = 0x0a;
const BITS = 6;
const MASK = 0x3f;

/** Length of the base64 text: four characters for three bytes; for 32 bytes, the last character is padding. */
const TEXT_BYTES: number = Math.ceil(KEY_BYTES / 3) * 4;

/** Longest text of a key, with a line end of two characters. */
export const KEY_TEXT_BYTES_MAX: number = TEXT_BYTES + 2;

/** Encodes a key, with a line end. The caller owns and wipes the text. */
export function encodeKey(key: Uint8Array): Uint8Array {
  const text = bytesOutsideHeap(TEXT_BYTES + 1);
  for (let index = 0; index < TEXT_BYTES - 1; index += 1) {
    const bit = index * BITS;
    const pair = ((key[bit >> 3] ?? 0) << 8) | (key[(bit >> 3) + 1] ?? 0);
    text[index] = ALPHABET[(pair >> (16 - BITS - (bit & 7))) & MASK] ?? 0;
  }
  text[TEXT_BYTES - 1] = PADDING;
  text[TEXT_BYTES] = LF;
  return text;
}

/** Decodes a key, with or without a line end; undefined if the text is not a key. The caller owns and wipes the key. */
export function decodeKey(text: Uint8Array): Uint8Array | undefined {
  const end = text.subarray(TEXT_BYTES);
  const isEnded = end.length === 0 || (end.length === 1 && end[0] === LF);
  if (!isEnded && !(end.length === 2 && end[0] === CR && end[1] === LF)) return undefined;
  if (text[TEXT_BYTES - 1] !== PADDING) return undefined;
  const key = bytesOutsideHeap(KEY_BYTES);
  let [bits, held, length] = [0, 0, 0];
  for (const character of text.subarray(0, TEXT_BYTES - 1)) {
    const value = ALPHABET.indexOf(character);
    if (value === -1) {
      key.fill(0);
      return undefined;
    }
    bits = ((bits << BITS) | value) & 0xffff;
    held += BITS;
    if (held < 8) continue;
    held -= 8;
    key[length] = bits >> held;
    length += 1;
  }
  return key;
}
