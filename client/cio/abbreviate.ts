import { sign } from './signs.ts';

/** Longest name, other than one of a set's field, that is shown whole: a secret in the wrong place is longer. */
const SHOWN_LENGTH_MAX = 16;

/** What of a word of the command line may be shown, where it can be a secret in the wrong place. */
export function abbreviate(word: string): string {
  if (word.startsWith('cio_') || word.length <= SHOWN_LENGTH_MAX) return word;
  return `${word.slice(0, SHOWN_LENGTH_MAX / 2)}${sign('…')}`;
}
