import { sign } from './signs.ts';

/** Printable ASCII alone, which is nearly everything: nothing to look at any closer. */
const PLAIN = /^[\x20-\x7e]*$/;

/**
 * Text that a terminal can be given: control characters, those that turn or hide text (bidirectional and zero-width
 * ones) and broken surrogates are spelled out, as in `\u{1b}`.
 */
export function printable(text: string): string {
  if (PLAIN.test(text)) return text;
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, (character) => {
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

/**
 * A document as JSON, which means the same and which a terminal can be given, see {@link printable}.
 *
 * @param indent spaces before each level; without, it is all in one line
 */
export function printableJson(document: unknown, indent?: number): string {
  const text = JSON.stringify(document, undefined, indent);
  if (PLAIN.test(text)) return text;
  // A line end in it is one of the layout: within a text JSON has spelled it out.
  return text.replaceAll(/(?!\n)[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );
}

/** A number of things: `1 record`, `2 records`. */
export function counted(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

/** How many columns of a terminal a printable text takes. */
export function widthOf(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const character of text) width += widthOfCharacter(character);
  return width;
}

/** The start of a printable text, with an ellipsis where something was left out, in at most `width` columns. */
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
