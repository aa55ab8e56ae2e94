import { continuation, inline, item, join, literal, paragraph, section, subsection } from './roff.ts';

/** The indentation of the lines of an example. */
const LITERAL_INDENT = '    ';

/** Lines that begin a new block, whatever precedes them. */
const BEGINS = /^(?:#|- |\{\{)/;

/** Lines that begin a block and also end it. */
const IS_ONE_LINE = /^(?:#|\{\{)/;

/** The generated text, by name, for lines such as `{{commands}}`. */
export type Parts = Readonly<Record<string, string>>;

/**
 * Renders the hand-written text of a page, in a subset of Markdown: `#` and `##` headings, paragraphs, `- term: text`
 * items, indented lines, which are kept as they are, `code`, and lines `{{name}}` for generated parts.
 *
 * @throws Error if the text names a part that is not in `parts`, or does not use one of `parts`
 */
export function renderProse(text: string, parts: Parts): string {
  const unused = new Set(Object.keys(parts));
  const rendered = blocksOf(text).map((block) => {
    const name = /^\{\{(?<name>\w+)\}\}$/.exec(block.join('\n'))?.groups?.['name'];
    if (name === undefined) return renderBlock(block);
    const part = parts[name];
    if (part === undefined) throw new Error(`there is no part {{${name}}}`);
    unused.delete(name);
    return part;
  });
  if (unused.size > 0) throw new Error(`the page has no place for {{${[...unused].join('}}, {{')}}}`);
  return join(rendered);
}

/** Renders the paragraphs and examples of a text in a source file, such as the details of a command. */
export function renderParagraphs(text: string): string {
  return blocksOf(text).map(renderBlock).join('');
}

/** Splits a text into blocks, which are separated by empty lines. An example keeps the empty lines within it. */
function blocksOf(text: string): readonly string[][] {
  const blocks: string[][] = [];
  let isOpen = false;
  for (const line of text.split('\n')) {
    const last = blocks.at(-1);
    if (line.trim() === '') {
      isOpen = false;
    } else if (last !== undefined && isLiteral(line) && isLiteral(last[0] ?? '')) {
      if (!isOpen) last.push('');
      last.push(line);
      isOpen = true;
    } else if (last === undefined || !isOpen || isLiteral(line) || isLiteral(last[0] ?? '') || BEGINS.test(line)) {
      blocks.push([line]);
      isOpen = !IS_ONE_LINE.test(line);
    } else {
      last.push(line);
    }
  }
  return blocks;
}

function isLiteral(line: string): boolean {
  return line.startsWith(LITERAL_INDENT);
}

function renderBlock(lines: readonly string[]): string {
  const [first = ''] = lines;
  if (isLiteral(first)) return literal(lines.map((line) => line.slice(LITERAL_INDENT.length)));
  const text = lines.map((line) => line.trim()).join(' ');
  if (text.startsWith('## ')) return subsection(text.slice(3));
  if (text.startsWith('# ')) return section(text.slice(2));
  if (!text.startsWith('- ')) return paragraph(inline(text));
  const [term = '', ...rest] = text.slice(2).split(': ');
  return item(inline(term), inline(rest.join(': ')));
}

/** Renders a term with the paragraphs of a text, the first beside the term and the others below it. */
export function renderItem(term: string, text: string): string {
  const [first = '', ...others] = text.split(/\n\s*\n/);
  return item(term, inline(first)) + others.map((other) => continuation(inline(other))).join('');
}
