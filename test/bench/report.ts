import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { formatTableOrRecords } from '../../client/cio/table.ts';
import { isDisturbing } from './disturbance.ts';
import type { Disturbance } from './disturbance.ts';
import { isDoubtful, isMet, isNoisy } from './measurement.ts';
import type { Budget, Measurement, Unit } from './measurement.ts';
import type { Options } from './options.ts';

/** A measurement with its verdicts. */
export interface Line extends Measurement {
  /** Only if there is a budget. */
  readonly isMet?: boolean;
  /** Whether the budget lies between the quartiles. */
  readonly isDoubtful?: boolean;
  /** Whether the quartiles lie far apart. */
  readonly isNoisy: boolean;
}

/** The results of the rows. */
export interface Results {
  readonly measurements: Measurement[];
  /** Rows or lines for which this machine lacks something. */
  readonly leftOut: { readonly row: string; readonly what: string; readonly reason: string }[];
  /** Rows that threw an error. */
  readonly failed: { readonly row: string; readonly error: string }[];
}

/** All results, with the machine and the form of the run. docs/bench/README.md explains the fields. */
export interface Report extends Pick<Results, 'leftOut' | 'failed'> {
  readonly date: string;
  readonly form: 'quick' | 'long';
  readonly seed: number;
  readonly machine: {
    readonly node: string;
    readonly kernel: string;
    readonly processor: string;
    readonly processors: number;
    /**
     * Load averages of the minute before the run and of its last one; more than 1 before the run is the work of others.
     */
    readonly loadBefore: number;
    readonly loadAfter: number;
    /** Of the folder with the stores. */
    readonly fileSystem: string;
    readonly disturbance: Disturbance;
    /** Whether so much of the machine's time went elsewhere that the figures are not the program's alone. */
    readonly isDisturbed: boolean;
  };
  readonly seconds: number;
  readonly rows: readonly Line[];
}

export function makeReport(
  { measurements, leftOut, failed }: Results,
  { isQuick, seed }: Pick<Options, 'isQuick' | 'seed'>,
  run: { readonly seconds: number; readonly loadBefore: number; readonly disturbance: Disturbance },
): Report {
  const { seconds, loadBefore, disturbance } = run;
  return {
    date: new Date().toISOString(),
    form: isQuick ? 'quick' : 'long',
    seed,
    machine: {
      node: process.version,
      kernel: os.release(),
      processor: os.cpus()[0]?.model ?? 'unknown',
      processors: os.availableParallelism(),
      loadBefore,
      loadAfter: loadAverage(),
      fileSystem: fileSystemOf(os.tmpdir()),
      disturbance,
      isDisturbed: isDisturbing(disturbance),
    },
    seconds,
    rows: measurements.map((measurement) => {
      const met = isMet(measurement);
      const line = { ...measurement, isNoisy: isNoisy(measurement) };
      return met === undefined ? line : { ...line, isMet: met, isDoubtful: isDoubtful(measurement) };
    }),
    leftOut,
    failed,
  };
}

/** Returns the average number of processes running or waiting to run in the last minute. */
export function loadAverage(): number {
  return os.loadavg()[0] ?? 0;
}

/** The name that stat(1) prints. */
const MEMORY = 'tmpfs';
const EXIT_MISSED = 1;

/**
 * Returns the exit code: what cannot be measured here is no failure, unless it was asked for; a missed budget is one if
 * `isStrict`.
 */
export function exitCodeOf(
  { rows, failed }: Pick<Report, 'rows' | 'failed'>,
  { only, isStrict }: Pick<Options, 'only' | 'isStrict'>,
): number {
  const isMissing = only.some((id) => !rows.some(({ row }) => row === id));
  const isMissed = isStrict && rows.some((line) => line.isMet === false);
  return failed.length > 0 || isMissing || isMissed ? EXIT_MISSED : 0;
}

const HEADINGS = ['row', 'what', 'measured', 'reference', 'compared', 'quartiles', 'min – max', 'budget', 'met'];

/**
 * Formats the table: medians, and the spread of the rounds; below it what was not measured, or missed, and why.
 *
 * @param width columns of the terminal; undefined if the output is no terminal
 */
export function formatReport(report: Report, width: number | undefined): string {
  const { rows, leftOut, failed } = report;
  const references = [...new Set(rows.map(({ against }) => against))];
  const notes = rows.filter(({ note }) => note !== undefined).map(({ what, note }) => `${what}: ${note ?? ''}`);
  const cells = rows.map((row) => formatLine(row, references));
  const missed = rows.filter(({ isMet }) => isMet === false);
  return [
    ...describeRun(report),
    '',
    ...(cells.length === 0 ? [] : [formatTable([HEADINGS, ...cells], width)]),
    ...references.map((reference, index) => `[${index + 1}] ${reference}`),
    ...(references.length === 0 ? [] : ['']),
    ...notes,
    ...(notes.length === 0 ? [] : ['']),
    ...leftOut.map(({ row, what, reason }) => `not run: ${row}, ${what}: ${reason}`),
    ...failed.map(({ row, error }) => `FAILED: ${row}: ${error}`),
    ...(leftOut.length + failed.length === 0 ? [] : ['']),
    ...missed.flatMap((row, index) => describeMissed(row, missed[index + 1])),
    ...(missed.length === 0 ? [] : ['ARCHITECTURE.md, “Budgets”, has the figures.', '']),
  ].join('\n');
}

/** Describes a missed budget. Consecutive lines with the same explanation have it once. */
function describeMissed(line: Line, next: Line | undefined): string[] {
  const { row, what, compared, budget } = line;
  if (budget === undefined) return [];
  const missed = `missed: ${row}, ${what}: ${formatCompared(compared.median, line)}, where ${formatBudget(budget, line)} is aimed at`;
  return budget.madeOf === next?.budget?.madeOf ? [missed] : [missed, `        It is made of: ${budget.madeOf}.`];
}

function describeRun({ form, seconds, seed, machine, rows }: Report): string[] {
  const { node, kernel, processors, processor, loadBefore, loadAfter, fileSystem, disturbance, isDisturbed } = machine;
  const percent = (part: number): string => `${(100 * part).toFixed(0)} %`;
  const noisy = rows.filter(({ isNoisy }) => isNoisy).length;
  return [
    `${form} form, ${seconds.toFixed(0)} s, seed ${seed}; Node ${node}, Linux ${kernel}, ${processors} × ${processor}, ` +
      `load ${loadBefore.toFixed(1)} before and ${loadAfter.toFixed(1)} after, stores on ${fileSystem}`,
    `${isDisturbed ? 'NOISY MACHINE: other' : 'Other'} processes took ${percent(disturbance.others)} of the processors, ` +
      `and the host of the machine ${percent(disturbance.stolen)}.` +
      (isDisturbed ? ' This affects the figures: repeat the run on an idle machine.' : ''),
    ...(fileSystem === MEMORY
      ? [
          'The stores are in memory, where a sync costs nothing: the Create rows mean little. Set TMPDIR to another folder.',
        ]
      : []),
    ...(processors === 1
      ? ['The load generator and the server share the one processor, which brings ratios of throughput nearer to 1.']
      : []),
    'Medians of rounds, each of which measures a row and its reference in turn.' +
      (noisy === 0
        ? ''
        : ` ${noisy} of ${rows.length} lines are noisy (~): their quartiles lie more than 20 % apart.`) +
      (rows.some(({ isDoubtful }) => isDoubtful === true) ? ' A verdict with ? could differ in the next run.' : ''),
  ];
}

function formatLine(row: Line, references: readonly string[]): string[] {
  const plain = (value: number): string => value.toFixed(row.comparison === 'ratio' ? 2 : 1);
  const { median, q1, q3, min, max } = row.compared;
  const verdict = row.isMet === undefined ? '' : row.isMet ? 'yes' : 'NO';
  return [
    row.row,
    row.what,
    formatValue(row.measured.median, row.unit),
    `${formatValue(row.reference.median, row.unit)} [${references.indexOf(row.against) + 1}]`,
    formatCompared(median, row),
    `${row.isNoisy ? '~ ' : ''}${plain(q1)} – ${plain(q3)}`,
    `${plain(min)} – ${plain(max)}`,
    row.budget === undefined ? '' : formatBudget(row.budget, row),
    row.isDoubtful === true ? `${verdict} ?` : verdict,
  ];
}

/** Aligns numbers to the right; on a terminal that is too narrow, prints records instead. */
function formatTable(lines: readonly (readonly string[])[], width: number | undefined): string {
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const table = lines.map((line) =>
    line
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
  if (width === undefined || table.every((line) => line.length <= width)) return `${table.join('\n')}\n`;
  const columns = HEADINGS.map((title) => ({ title }));
  return formatTableOrRecords(columns, lines.slice(1), width);
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
