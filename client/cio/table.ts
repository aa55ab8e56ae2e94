import { printable, truncate, widthOf } from './text.ts';

/** A column of a table. */
export interface Column {
  readonly title: string;
  /** The column gives way where the table is wider than the terminal; at most one of a table, the last. */
  readonly isElastic?: true;
}

const GAP = '  ';
const ELASTIC_WIDTH_MIN = 8;

/**
 * Lines of padded columns under a header. Every cell is made printable.
 *
 * @param width columns of the terminal; undefined where the table goes somewhere else, and nothing is cut
 */
export function formatTable(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  width: number | undefined,
): string {
  const lines = [columns.map(({ title }) => title), ...rows.map((row) => row.map(printable))];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => widthOf(line[index] ?? ''))));
  if (width !== undefined && columns.at(-1)?.isElastic === true) {
    const others = widths.slice(0, -1).reduce((sum, each) => sum + each + GAP.length, 0);
    widths[widths.length - 1] = Math.max(ELASTIC_WIDTH_MIN, Math.min(widths.at(-1) ?? 0, width - others));
  }
  return lines.map((line) => `${formatLine(line, widths, columns)}\n`).join('');
}

function formatLine(line: readonly string[], widths: readonly number[], columns: readonly Column[]): string {
  const cells = line.map((cell, index) => {
    const width = widths[index] ?? 0;
    const text = columns[index]?.isElastic === true ? truncate(cell, width) : cell;
    return text + ' '.repeat(Math.max(0, width - widthOf(text)));
  });
  return cells.join(GAP).trimEnd();
}
