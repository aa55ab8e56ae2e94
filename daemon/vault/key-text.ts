import { KEY_BYTES, bytesOutsideHeap } from './key-memory.ts';

/**
 * A key as base64 (RFC 4648, section 4), from bytes to bytes: a string of V8's could not be wiped, and stays in its heap
 * until something else is written there.
 */

const ALPHABET = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const PADDING = 0x3d;
const CR = 0x0d;
const LF = 0x0a;
const BITS = 6;
const MASK = 0x3f;

/** Four characters for three bytes; 32 bytes leave one character of padding. */
const TEXT_BYTES: number = Math.ceil(KEY_BYTES / 3) * 4;

/** The most that a text of a key has, with a line end of two characters. */
export const KEY_TEXT_BYTES_MAX: number = TEXT_BYTES + 2;

/** The text of a key and a line end. The caller owns and wipes it. */
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

/** The key of a text, with or without a line end; undefined for what is none. The caller owns and wipes it. */
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
