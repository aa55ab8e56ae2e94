import { randomBytes, wipe } from '../vault/sodium.ts';

/**
 * Letters and digits without those that are mistaken for each other: 0 O o, 1 I l. None means anything to a shell or in
 * a URL.
 */
const ALPHABET: readonly string[] = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789'.split('');

/** 92 bits: out of reach even where a guess costs nothing but a hash. */
export const PASSWORD_LENGTH_MIN = 16;
/** Enough for anything, and no tool refuses it. */
export const PASSWORD_LENGTH_MAX = 1024;
export const PASSWORD_LENGTH_DEFAULT = 32;

/** 64 bits: with fewer words, a guess comes into reach of those who can afford it. */
export const PASSWORD_WORDS_MIN = 5;
export const PASSWORD_WORDS_MAX = 64;

const WORD_SEPARATOR = '-';

/** A password, and how hard it is to guess. */
export interface Password {
  readonly text: string;
  /** log2 of the number of passwords that were equally likely, rounded down. */
  readonly bits: number;
}

/** Makes a password of `length` characters. */
export function makePassword(length: number): Password {
  return pick(ALPHABET, length, '');
}

/** Makes a passphrase of so many words. Their list is loaded only now: a daemon hardly ever needs it. */
export async function makePassphrase(words: number): Promise<Password> {
  const { WORDS } = await import('./words.ts');
  return pick(WORDS, words, WORD_SEPARATOR);
}

function pick(choices: readonly string[], count: number, separator: string): Password {
  const picked = Array.from({ length: count }, () => choices[randomIndex(choices.length)]);
  return { text: picked.join(separator), bits: Math.floor(count * Math.log2(choices.length)) };
}

/** How many values two random bytes have. */
const DRAWN = 0x1_0000;

/**
 * Returns a random number below `bound`, all of them equally likely: a draw from the incomplete last round is repeated.
 *
 * @param bound at most 65536
 */
export function randomIndex(bound: number, draw: (bytes: number) => Uint8Array = randomBytes): number {
  const fair = DRAWN - (DRAWN % bound);
  for (;;) {
    const bytes = draw(2);
    const drawn = new DataView(bytes.buffer, bytes.byteOffset).getUint16(0);
    wipe(bytes);
    if (drawn < fair) return drawn % bound;
  }
}
