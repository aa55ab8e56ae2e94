import { sign } from './signs.ts';

/** Printable ASCII, which nearly all text is: the fast path. */
const PLAIN = /^[\x20-\x7e]*$/;

/**
 * Makes text safe for a terminal: escapes control characters, characters that reorder or hide text (bidirectional and
 * zero-width ones) and lone surrogates, as in `\u{1b}`.
 */
export function printable(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

/**
 * Formats a document as JSON that is safe for a terminal, see {@link printable}. The escapes do not change its meaning.
 *
 * @param indent spaces per level; without it, all is on one line
 */
export function printableJson(document: unknown, indent?: number): string {
  const text = JSON.stringify(document, undefined, indent);
  if (PLAIN.test(text)) return text;
  // Any line end here belongs to the layout: within strings, JSON has escaped them.
  return text.replaceAll(/(?!\n)[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** Formats a number of things: `1 record`, `2 records`. */
export function formatCount(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

/** Returns the width of a printable text on a terminal, in columns. */
export function widthOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOfCharacter(character);
  return width;
}

/** Truncates a printable text to at most `width` columns, with an ellipsis if something was cut off. */
export function truncate(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = '';
  let used = 1;
  for (const character of text) {
    used += widthOfCharacter(character);
    if (used > width) break;
    kept += character;
  }
  return `${kept}${sign('…')}`;
}

function widthOfCharacter(character: string): number {
  if (/^\p{M}$/u.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** East Asian wide and fullwidth characters and emoji, in blocks (Unicode Standard Annex 11). */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f680}-\u{1faff}\u{20000}-\u{3fffd}]$/u;
