import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { isMet } from './measurement.ts';
import type { Budget, Measurement, Unit } from './measurement.ts';
import type { Options } from './options.ts';

/** Everything that was measured, and on what. */
export interface Report {
  readonly date: string;
  readonly form: 'quick' | 'long';
  readonly machine: {
    readonly node: string;
    readonly kernel: string;
    readonly processor: string;
    readonly processors: number;
    /** Of the minute before, and of the last one: what is above 1 at the start is the work of others. */
    readonly loadBefore: number;
    readonly loadAfter: number;
    /** Of the folder that the stores were in. */
    readonly fileSystem: string;
  };
  readonly seconds: number;
  readonly rows: readonly (Measurement & { readonly isMet?: boolean })[];
}

export function makeReport(
  measurements: readonly Measurement[],
  { isQuick }: Options,
  { seconds, loadBefore }: { readonly seconds: number; readonly loadBefore: number },
): Report {
  return {
    date: new Date().toISOString(),
    form: isQuick ? 'quick' : 'long',
    machine: {
      node: process.version,
      kernel: os.release(),
      processor: os.cpus()[0]?.model ?? 'unknown',
      processors: os.cpus().length,
      loadBefore,
      loadAfter: loadAverage(),
      fileSystem: fileSystemOf(os.tmpdir()),
    },
    seconds,
    rows: measurements.map((measurement) => {
      const met = isMet(measurement);
      return met === undefined ? measurement : { ...measurement, isMet: met };
    }),
  };
}

/** Processes that were running or waiting to, on average of the last minute. */
export function loadAverage(): number {
  return os.loadavg()[0] ?? 0;
}

const HEADINGS = ['row', 'what', 'measured', 'reference', 'compared', 'quartiles', 'min – max', 'budget', 'met'];

/** The table for people: medians, and how far the rounds lie apart. */
export function formatReport({ rows, machine, form, seconds }: Report): string {
  const references = [...new Set(rows.map(({ against }) => against))];
  const notes = rows.filter(({ note }) => note !== undefined).map(({ what, note }) => `${what}: ${note ?? ''}`);
  const cells = rows.map((row) => {
    const plain = (value: number): string => value.toFixed(row.comparison === 'ratio' ? 2 : 1);
    const { median, q1, q3, min, max } = row.compared;
    return [
      row.row,
      row.what,
      formatValue(row.measured.median, row.unit),
      `${formatValue(row.reference.median, row.unit)} [${references.indexOf(row.against) + 1}]`,
      formatCompared(median, row),
      `${plain(q1)} – ${plain(q3)}`,
      `${plain(min)} – ${plain(max)}`,
      row.budget === undefined ? '' : formatBudget(row.budget, row),
      row.isMet === undefined ? '' : row.isMet ? 'yes' : 'NO',
    ];
  });
  return [
    `${form} form, ${seconds.toFixed(0)} s; Node ${machine.node}, Linux ${machine.kernel}, ${machine.processors} × ${machine.processor}, load ${machine.loadBefore.toFixed(1)} before and ${machine.loadAfter.toFixed(1)} after, stores on ${machine.fileSystem}`,
    'Medians of rounds in which each was measured in turn with its reference.',
    '',
    ...formatTable([HEADINGS, ...cells]),
    '',
    ...references.map((reference, index) => `[${index + 1}] ${reference}`),
    '',
    ...notes,
    '',
  ].join('\n');
}

function formatTable(lines: readonly (readonly string[])[]): string[] {
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines.map((line) =>
    line
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

function formatValue(value: number, unit: Unit): string {
  return unit === '/s' ? `${Math.round(value)}/s` : `${value.toFixed(1)} ${unit}`;
}

function formatCompared(value: number, { comparison, unit }: Measurement): string {
  if (comparison === 'ratio') return `${value.toFixed(2)} ×`;
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)} ${unit}`;
}

function formatBudget({ kind, limit }: Budget, { comparison, unit }: Measurement): string {
  const sign = kind === 'at most' ? '≤' : '≥';
  return comparison === 'ratio' ? `${sign} ${limit} ×` : `${sign} +${limit} ${unit}`;
}

function fileSystemOf(directory: string): string {
  try {
    return execFileSync('stat', ['-f', '-c', '%T', directory], { encoding: 'utf8' }).trim();
  } catch {
    return 'unknown';
  }
}
