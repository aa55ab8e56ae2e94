import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { formatTableOrRecords } from '../../client/cio/table.ts';
import { isDisturbing } from './disturbance.ts';
import type { Disturbance } from './disturbance.ts';
import { isDoubtful, isMet, isNoisy } from './measurement.ts';
import type { Budget, Measurement, Unit } from './measurement.ts';
import type { Options } from './options.ts';

/** What was measured, and what it says. */
export interface Line extends Measurement {
  /** Only where there is a budget. */
  readonly isMet?: boolean;
  /** The budget lies between the quartiles. */
  readonly isDoubtful?: boolean;
  /** The quartiles lie far apart. */
  readonly isNoisy: boolean;
}

/** What came of the rows. */
export interface Results {
  readonly measurements: Measurement[];
  /** What this machine lacks something for. */
  readonly leftOut: { readonly row: string; readonly what: string; readonly reason: string }[];
  /** Rows that came to no end. */
  readonly failed: { readonly row: string; readonly error: string }[];
}

/** Everything that was measured, and on what. docs/bench/README.md says what the fields mean. */
export interface Report extends Pick<Results, 'leftOut' | 'failed'> {
  readonly date: string;
  readonly form: 'quick' | 'long';
  readonly seed: number;
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
    readonly disturbance: Disturbance;
    /** So much of the machine's time went elsewhere that the figures are not the program's alone. */
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

/** Processes that were running or waiting to, on average of the last minute. */
export function loadAverage(): number {
  return os.loadavg()[0] ?? 0;
}

/** As stat(1) calls it. */
const MEMORY = 'tmpfs';
const EXIT_MISSED = 1;

/** How the run ends: what cannot be measured here is no failure, unless it was asked for; a missed budget is one if `isStrict`. */
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
 * The table for people: medians, and how far the rounds lie apart; and what was not measured, or missed, and why.
 *
 * @param width columns of the terminal; undefined where it goes somewhere else
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

/** What its time or memory goes into is said once for lines that follow each other. */
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
      (isDisturbed ? ' The figures tell of that too: repeat this when there is nothing else to do.' : ''),
    ...(fileSystem === MEMORY
      ? [
          'The stores are in memory, where a sync costs nothing: rows of Create say little. TMPDIR names another folder.',
        ]
      : []),
    ...(processors === 1
      ? [
          'There is one processor, which the load generator and the server share: ratios of throughput are nearer to 1 for that.',
        ]
      : []),
    'Medians of rounds in which each was measured in turn with its reference.' +
      (noisy === 0
        ? ''
        : ` ${noisy} of ${rows.length} lines are noisy (~): their quartiles lie more than 20 % apart.`) +
      (rows.some(({ isDoubtful }) => isDoubtful === true) ? ' A verdict with ? may be the other one next time.' : ''),
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

/** Of numbers, the right sides are below each other; on a terminal that is too narrow, a paragraph is. */
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
