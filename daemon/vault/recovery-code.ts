import { createHash } from 'node:crypto';

import { KEY_BYTES } from './key-memory.ts';
import { randomBytes } from './sodium.ts';

/** Crockford's base 32, without I, L, O and U, so that a code can be read out and typed without mistakes. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const BASE32_TEXT = /^[0-9A-HJKMNP-TV-Z]+$/;
const SECRET_BYTES = 20;
const CHECK_CHARACTERS = 4;
const GROUP_LENGTH = 6;
const CODE_LENGTH: number = (SECRET_BYTES * 8) / 5 + CHECK_CHARACTERS;

/** Returns a fresh code of 160 random bits and four check characters, as `XXXXXX-XXXXXX-…`, six groups. */
export function newRecoveryCode(): string {
  const secret = randomBytes(SECRET_BYTES);
  const characters = encodeBase32(secret) + checkOf(secret);
  return characters.match(new RegExp(`.{${GROUP_LENGTH}}`, 'g'))?.join('-') ?? characters;
}

/**
 * Returns the key that a code stands for; the caller owns and wipes it. Case, white space and dashes do not matter, O
 * is read as 0, I and L as 1. Undefined if the text is not a code, or the check characters do not match.
 */
export function parseRecoveryCode(text: string): Uint8Array | undefined {
  // The upper case of some letters outside ASCII is an ASCII letter: ı becomes I.
  if (/[^\x20-\x7e\s]/.test(text)) return undefined;
  const characters = text.toUpperCase().replaceAll(/[\s-]/g, '').replaceAll('O', '0').replaceAll(/[IL]/g, '1');
  if (characters.length !== CODE_LENGTH || !BASE32_TEXT.test(characters)) return undefined;
  const secret = decodeBase32(characters.slice(0, -CHECK_CHARACTERS));
  if (checkOf(secret) !== characters.slice(-CHECK_CHARACTERS)) return undefined;
  const key = createHash('sha256').update('cio-recovery-1\0').update(secret).digest();
  secret.fill(0);
  return key.subarray(0, KEY_BYTES);
}

function checkOf(secret: Uint8Array): string {
  const hash = createHash('sha256').update('cio-recovery-check-1\0').update(secret).digest();
  return encodeBase32(hash.subarray(0, 5)).slice(0, CHECK_CHARACTERS);
}

/** Encodes bytes, whose number is a multiple of 5. */
function encodeBase32(bytes: Uint8Array): string {
  let bits = 0n;
  for (const byte of bytes) bits = (bits << 8n) | BigInt(byte);
  const length = (bytes.length * 8) / 5;
  return Array.from({ length }, (_, index) => ALPHABET[Number((bits >> BigInt(5 * (length - 1 - index))) & 31n)]).join(
    '',
  );
}

function decodeBase32(characters: string): Uint8Array {
  let bits = 0n;
  for (const character of characters) bits = (bits << 5n) | BigInt(ALPHABET.indexOf(character));
  return Uint8Array.from({ length: SECRET_BYTES }, (_, index) =>
    Number((bits >> BigInt(8 * (SECRET_BYTES - 1 - index))) & 255n),
  );
}
