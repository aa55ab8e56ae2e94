/**
 * Text for troff with the man macros, man(7). No part of a text can become a request: every character that has a
 * meaning for troff is written by its name, groff_char(7).
 */

/** The escape sequence for each character. The dash is one that can be copied into a shell. */
const NAMED: Readonly<Record<string, string>> = {
  '\\': '\\(rs',
  '-': '\\-',
  "'": '\\(aq',
  '"': '\\(dq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
};

/** Maximum length of a source line; a word that is longer is not split. */
const LINE_LENGTH_MAX = 78;

/** The name of a manual page with its section, such as `restic(1)`. */
const PAGE_REFERENCE = /(?<![\w(])([A-Za-z][\w.-]*)\((\d)\)/g;

/** Characters that cannot be printed: control characters and lone surrogates. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/** Escapes text within a line. Characters that cannot be printed become spaces. */
export function escapeText(text: string): string {
  return Array.from(text, (character) => {
    if (UNPRINTABLE.test(character)) return ' ';
    if (/^[\x20-\x7e]$/.test(character)) return NAMED[character] ?? character;
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase();
    return `\\[u${code.padStart(4, '0')}]`;
  }).join('');
}

/** Renders text within a line in bold. */
export function bold(text: string): string {
  return text === '' ? '' : `\\fB${escapeText(text)}\\fR`;
}

/** Renders a placeholder, as in the usage of a command, in italics. */
export function italic(text: string): string {
  return text === '' ? '' : `\\fI${escapeText(text)}\\fR`;
}

/** Renders prose: text between backticks is bold, and so are the names of manual pages. */
export function inline(text: string): string {
  return text
    .split(/`([^`]+)`/)
    .map((part, index) => (index % 2 === 1 ? bold(part) : withReferences(part)))
    .join('');
}

function withReferences(text: string): string {
  const parts = text.split(PAGE_REFERENCE);
  // In groups of three: the text before, the name, the section.
  return parts
    .map((part, index) => (index % 3 === 0 ? escapeText(part) : index % 3 === 1 ? bold(part) : `(${part})`))
    .join('');
}

/** Joins the parts of a page. A paragraph after a heading needs no space of its own. */
export function join(parts: readonly string[]): string {
  return parts.join('').replaceAll(/^(\.S[HS] .*\n)\.PP\n/gm, '$1');
}

/** The heading of a section. */
export function section(title: string): string {
  return `.SH ${argument(title)}\n`;
}

/** A heading within a section. */
export function subsection(title: string): string {
  return `.SS ${argument(title)}\n`;
}

/** A paragraph of text that {@link inline} or a similar function has rendered. */
export function paragraph(text: string): string {
  const filled = fill(text);
  return filled === '' ? '' : `.PP\n${filled}`;
}

/** A term, with its description beside or below it. */
export function item(term: string, text: string): string {
  return `.TP\n${oneLine(term)}\n${fill(text)}`;
}

/** A further paragraph of the preceding item. */
export function continuation(text: string): string {
  const filled = fill(text);
  return filled === '' ? '' : `.IP\n${filled}`;
}

/** Lines of plain text that are kept as they are, and indented. */
export function literal(lines: readonly string[]): string {
  return `.PP\n.RS 4\n.EX\n${lines.map((line) => `${guarded(escapeText(line))}\n`).join('')}.EE\n.RE\n`;
}

/** The beginning of a page: its title, and requests against hyphenation. The date has the form 2026-11-22. */
export function title(name: string, number: number, date: string, source: string, manual: string): string {
  return `.TH ${argument(name)} ${number} ${date} ${argument(source)} ${argument(manual)}\n.nr HY 0\n.nh\n.ad l\n`;
}

function argument(text: string): string {
  return `"${escapeText(text)}"`;
}

/** Breaks escaped text into source lines at its spaces. */
function fill(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((word) => word !== '')) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > LINE_LENGTH_MAX) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  // After a line that ends like a sentence, troff would put two spaces, wherever the line ends up on the page.
  return lines.map((line) => `${guarded(line).replace(/[.?!]$/, '$&\\&')}\n`).join('');
}

function oneLine(text: string): string {
  return guarded(text.replaceAll(/\s+/g, ' ').trim());
}

/** Guards a line that begins with a dot, which would be a request, or is empty. Apostrophes are escaped already. */
function guarded(line: string): string {
  return /^(?:\.|$)/.test(line) ? `\\&${line}` : line;
}
