import { sign } from './signs.ts';

/** Longest word not starting with `cio_` that is shown whole. A secret typed in the wrong place is usually longer. */
const SHOWN_LENGTH_MAX = 16;

/** Shortens a word of the command line for a message, as it may be a secret typed in the wrong place. */
export function abbreviate(word: string): string {
  if (word.startsWith('cio_') || word.length <= SHOWN_LENGTH_MAX) return word;
  return `${word.slice(0, SHOWN_LENGTH_MAX / 2)}${sign('…')}`;
}
