import { randomBytes, wipe } from '../vault/sodium.ts';

/** Letters and digits without those that are mistaken for each other: 0 O o, 1 I l. None means anything to a shell or in a URL. */
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
  /** log2 of how many there are that could have come instead, rounded down. */
  readonly bits: number;
}

/** A password of so many characters. */
export function makePassword(length: number): Password {
  return pick(ALPHABET, length, '');
}

/** A password of so many words. The list is read when it is asked for: a daemon hardly ever needs it. */
export async function makePassphrase(words: number): Promise<Password> {
  const { WORDS } = await import('./words.ts');
  return pick(WORDS, words, WORD_SEPARATOR);
}

function pick(choices: readonly string[], count: number, separator: string): Password {
  const picked = Array.from({ length: count }, () => choices[randomIndex(choices.length)]);
  return { text: picked.join(separator), bits: Math.floor(count * Math.log2(choices.length)) };
}

/** Two random bytes have so many values. */
const DRAWN = 0x1_0000;

/**
 * A number below `bound`, each as likely as the others: what is drawn from the incomplete last round is drawn again.
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
