import { continuation, inline, item, join, literal, paragraph, section, subsection } from './roff.ts';

/** Lines of an example are indented by as much. */
const LITERAL_INDENT = '    ';

/** Lines that begin something, whatever stands before them. */
const BEGINS = /^(?:#|- |\{\{)/;

/** Of these, the ones that end with their line. */
const IS_ONE_LINE = /^(?:#|\{\{)/;

/** By name, what a line such as `{{commands}}` stands for. */
export type Parts = Readonly<Record<string, string>>;

/**
 * A hand-written part of a page, in what of Markdown it takes: `#` and `##` headings, paragraphs, `- term: text` items,
 * indented lines as they are, `code`, and lines `{{name}}` for what is generated.
 *
 * @throws Error for a name that is none of `parts`, and for one of these that has no place
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

/** Paragraphs and examples of a text that stands in a source, as a command's details. */
export function renderParagraphs(text: string): string {
  return blocksOf(text).map(renderBlock).join('');
}

/** What belongs together: lines between empty ones; an example keeps those within it. */
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

/** The paragraphs of a text, the first beside a term and the others below it. */
export function renderItem(term: string, text: string): string {
  const [first = '', ...others] = text.split(/\n\s*\n/);
  return item(term, inline(first)) + others.map((other) => continuation(inline(other))).join('');
}
