import { printable, truncate, widthOf } from './text.ts';

/** A column of a table. Only the last one may shrink if the table is wider than the terminal. */
export interface Column {
  readonly title: string;
  /** Shrinks by truncating its cells. */
  readonly isElastic?: true;
  /** Shrinks by wrapping its cells. */
  readonly isWrapped?: true;
}

const GAP = '  ';
const ELASTIC_WIDTH_MIN = 8;

/** Room for a word or two; a narrower column is hard to read. */
const WRAPPED_WIDTH_MIN = 20;

/**
 * Formats a table of padded columns under a header. Every cell is made printable.
 *
 * @param width columns of the terminal; undefined if the output is not a terminal, and the table is as wide as it needs
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): string {
  const lines = [columns.map(({ title }) => title), ...rows.map((row) => row.map(printable))];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => widthOf(line[index] ?? ''))));
  const last = columns.at(-1);
  if (width !== undefined && (last?.isElastic === true || last?.isWrapped === true)) {
    const least = last.isWrapped === true ? WRAPPED_WIDTH_MIN : ELASTIC_WIDTH_MIN;
    widths[widths.length - 1] = Math.max(least, Math.min(widths.at(-1) ?? 0, width - widthOfAll(widths.slice(0, -1))));
  }
  return lines.map((line) => `${formatLine(line, widths, columns)}\n`).join('');
}

/** Formats a table; if the terminal is too narrow, a line for each cell, and an empty line between the rows. */
export function formatTableOrRecords(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): string {
  const table = formatTable(columns, rows, width);
  if (width === undefined || table.split('\n').every((line) => widthOf(line) <= width)) return table;
  const titleWidth = Math.max(...columns.map(({ title }) => title.length));
  const cellWidth = Math.max(ELASTIC_WIDTH_MIN, width - titleWidth - GAP.length);
  const records = rows.map((row) =>
    columns.map(({ title }, index) => {
      const [first = '', ...more] = wrap(printable(row[index] ?? ''), cellWidth);
      const lines = [title.padEnd(titleWidth) + GAP + first, ...more.map((part) => indent(titleWidth) + part)];
      return lines.map((line) => `${line.trimEnd()}\n`).join('');
    }),
  );
  return records.map((record) => record.join('')).join('\n');
}

function formatLine(line: readonly string[], widths: readonly number[], columns: readonly Column[]): string {
  const parts = line.map((cell, index) => fit(cell, widths[index] ?? 0, columns[index]));
  const first = parts.map(([part = ''], index) => part + ' '.repeat(Math.max(0, (widths[index] ?? 0) - widthOf(part))));
  // Only the last column has more than one part.
  const before = indent(widthOfAll(widths.slice(0, -1)) - GAP.length);
  const more = (parts.at(-1) ?? []).slice(1).map((part) => before + part);
  return [first.join(GAP).trimEnd(), ...more].join('\n');
}

function fit(cell: string, width: number, column: Column | undefined): readonly string[] {
  if (column?.isWrapped === true) return wrap(cell, width);
  return [column?.isElastic === true ? truncate(cell, width) : cell];
}

/** Wraps text into lines of whole words; a word that is wider than a line is split. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((one) => cut(one, width))) {
    if (line !== '' && widthOf(line) + 1 + widthOf(word) > width) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function cut(word: string, width: number): string[] {
  if (widthOf(word) <= width) return [word];
  const parts: string[] = [];
  let part = '';
  for (const character of word) {
    if (part !== '' && widthOf(part + character) > width) {
      parts.push(part);
      part = '';
    }
    part += character;
  }
  return [...parts, part];
}

/** Returns the width of some columns, each with its gap. */
function widthOfAll(widths: readonly number[]): number {
  return widths.reduce((sum, each) => sum + each + GAP.length, 0);
}

function indent(width: number): string {
  return ' '.repeat(Math.max(0, width) + GAP.length);
}
