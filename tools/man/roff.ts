/**
 * Text for troff with the man macros, man(7). Nothing of a text is ever taken for a request: every character that
 * troff gives a meaning is written by its name, groff_char(7).
 */

/** By character, what stands for it. The dash is one that can be copied into a shell. */
const NAMED: Readonly<Record<string, string>> = {
  '\\': '\\(rs',
  '-': '\\-',
  "'": '\\(aq',
  '"': '\\(dq',
  '`': '\\(ga',
  '^': '\\(ha',
  '~': '\\(ti',
};

/** Length that lines of a source should have; a longer word stays whole. */
const LINE_LENGTH_MAX = 78;

/** A command's or a page's name with its section, as in `restic(1)`. */
const PAGE_REFERENCE = /(?<![\w(])([A-Za-z][\w.-]*)\((\d)\)/g;

/** Characters that have no form on paper: control characters, and halves of surrogates. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u;

/** A text within a line. Characters without a form become a space. */
export function escapeText(text: string): string {
  return Array.from(text, (character) => {
    if (UNPRINTABLE.test(character)) return ' ';
    if (/^[\x20-\x7e]$/.test(character)) return NAMED[character] ?? character;
    const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase();
    return `\\[u${code.padStart(4, '0')}]`;
  }).join('');
}

/** A text within a line, in bold. */
export function bold(text: string): string {
  return text === '' ? '' : `\\fB${escapeText(text)}\\fR`;
}

/** A word that stands for something else, as in the usage of a command. */
export function italic(text: string): string {
  return text === '' ? '' : `\\fI${escapeText(text)}\\fR`;
}

/** Prose: what is between backticks is bold, and so are the names of manual pages. */
export function inline(text: string): string {
  return text
    .split(/`([^`]+)`/)
    .map((part, index) => (index % 2 === 1 ? bold(part) : withReferences(part)))
    .join('');
}

function withReferences(text: string): string {
  const parts = text.split(PAGE_REFERENCE);
  // Of three parts each: what stands before, the name, the section.
  return parts
    .map((part, index) => (index % 3 === 0 ? escapeText(part) : index % 3 === 1 ? bold(part) : `(${part})`))
    .join('');
}

/** Parts of a page, one behind the other. A heading makes room by itself. */
export function join(parts: readonly string[]): string {
  return parts.join('').replaceAll(/^(\.S[HS] .*\n)\.PP\n/gm, '$1');
}

/** A section's heading. */
export function section(title: string): string {
  return `.SH ${argument(title)}\n`;
}

/** A heading within a section. */
export function subsection(title: string): string {
  return `.SS ${argument(title)}\n`;
}

/** A paragraph of what {@link inline} and its like gave. */
export function paragraph(text: string): string {
  const filled = fill(text);
  return filled === '' ? '' : `.PP\n${filled}`;
}

/** A term, and what there is to say of it beside or below. */
export function item(term: string, text: string): string {
  return `.TP\n${oneLine(term)}\n${fill(text)}`;
}

/** Goes on in the item before. */
export function continuation(text: string): string {
  const filled = fill(text);
  return filled === '' ? '' : `.IP\n${filled}`;
}

/** Lines as they are, indented. They are plain text. */
export function literal(lines: readonly string[]): string {
  return `.PP\n.RS 4\n.EX\n${lines.map((line) => `${guarded(escapeText(line))}\n`).join('')}.EE\n.RE\n`;
}

/** What a page begins with: its title, and that words are not broken. The date is as in 2026-11-22. */
export function title(name: string, number: number, date: string, source: string, manual: string): string {
  return `.TH ${argument(name)} ${number} ${date} ${argument(source)} ${argument(manual)}\n.nr HY 0\n.nh\n.ad l\n`;
}

function argument(text: string): string {
  return `"${escapeText(text)}"`;
}

/** Escaped text as lines of a source, broken at its spaces. */
function fill(text: string): string {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter((word) => word !== '')) {
    const line = lines.at(-1);
    if (line === undefined || line.length + 1 + word.length > LINE_LENGTH_MAX) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  // A line that ends as a sentence does would get two spaces behind it, wherever it lands on the page.
  return lines.map((line) => `${guarded(line).replace(/[.?!]$/, '$&\\&')}\n`).join('');
}

function oneLine(text: string): string {
  return guarded(text.replaceAll(/\s+/g, ' ').trim());
}

/** A line that begins with a dot would be a request, and an empty one a gap; the apostrophe is escaped already. */
function guarded(line: string): string {
  return /^(?:\.|$)/.test(line) ? `\\&${line}` : line;
}
