/** The characters with Unicode's property White_Space, which Go's `strings.TrimSpace` removes. */
const SPACES: ReadonlySet<string> = new Set(
  '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000',
);

/** The byte order mark, which some editors and Windows shells write at the start of a text. */
export const BYTE_ORDER_MARK = '\ufeff';

/**
 * Removes white space from both ends, as Go's `strings.TrimSpace` does. JavaScript's `trim` differs in two characters,
 * and a regular expression would take quadratic time.
 */
export function trim(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && SPACES.has(text.charAt(from))) from += 1;
  while (from < to && SPACES.has(text.charAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

/** Returns a text as restic sees it when it reads it from a file (`internal/textfile`, then `strings.TrimSpace`). */
export function asReadFromFile(text: string): string {
  return trim(text.startsWith(BYTE_ORDER_MARK) ? text.slice(BYTE_ORDER_MARK.length) : text);
}
