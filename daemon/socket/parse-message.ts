import { isUtf8 } from 'node:buffer';

import { CredentialError } from '../../src/errors.ts';
import { MESSAGE_PARTS_MAX } from './limits.ts';

const COMMA = ','.charCodeAt(0);
const QUOTE = '"'.charCodeAt(0);
const BACKSLASH = '\\'.charCodeAt(0);
const OPEN_BRACKET = '['.charCodeAt(0);
const OPEN_BRACE = '{'.charCodeAt(0);

/**
 * Parses a message. Returns undefined, and does not throw V8's own error, which would quote the bytes, if they are not
 * JSON or are the document `null`. Bytes that are not UTF-8 are refused: decoded, they would become other characters,
 * and a secret another secret.
 *
 * @throws CredentialError `TooLarge` if the message has more parts than any call has: V8 would make an object of each,
 *   in forty times the memory of the message, and in seconds in which nobody is served
 */
export function parseMessage(bytes: Uint8Array): unknown {
  if (bytes.length > MESSAGE_PARTS_MAX && hasTooManyParts(bytes)) {
    throw new CredentialError('TooLarge', { limit: MESSAGE_PARTS_MAX });
  }
  if (!isUtf8(bytes)) return undefined;
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  try {
    return JSON.parse(buffer.toString()) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Counts the characters that every value, name and list element begins with or follows. The bytes need not be JSON. */
function hasTooManyParts(bytes: Uint8Array): boolean {
  let parts = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index];
    if (byte !== COMMA && byte !== QUOTE && byte !== OPEN_BRACKET && byte !== OPEN_BRACE) continue;
    parts += 1;
    if (parts > MESSAGE_PARTS_MAX) return true;
    if (byte === QUOTE) index = endOfText(bytes, index + 1);
  }
  return false;
}

/** Returns the index of the quote that ends a string, or the number of bytes. */
function endOfText(bytes: Uint8Array, start: number): number {
  // Most values contain no quotes, and are skipped at the speed of memory.
  const quote = bytes.indexOf(QUOTE, start);
  if (quote < 0) return bytes.length;
  if (bytes[quote - 1] !== BACKSLASH) return quote;
  for (let index = start; index < bytes.length; index += 1) {
    if (bytes[index] === BACKSLASH) index += 1;
    else if (bytes[index] === QUOTE) return index;
  }
  return bytes.length;
}
