/** Unicode's White_Space: what Go's `strings.TrimSpace` takes off. */
const SPACES: ReadonlySet<string> = new Set(
  '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000',
);

/** What some editors, and shells of Windows, write before a text. */
export const BYTE_ORDER_MARK = '\ufeff';

/** Like Go. JavaScript's own differs in two characters, and a pattern would take quadratic time. */
export function trim(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && SPACES.has(text.charAt(from))) from += 1;
  while (from < to && SPACES.has(text.charAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

/** A text as restic has it where it reads it from a file (`internal/textfile`, and then TrimSpace). */
export function asReadFromFile(text: string): string {
  return trim(text.startsWith(BYTE_ORDER_MARK) ? text.slice(BYTE_ORDER_MARK.length) : text);
}
