import os from 'node:os';
import { formatTableOrRecords } from '../../client/cio/table.ts';
import { isDisturbing } from '../bench/disturbance.ts';
import type { Disturbance } from '../bench/disturbance.ts';
import type { Options } from './options.ts';
import { isBroken } from './scenario.ts';
import type { Outcome } from './scenario.ts';

/** The result of one scenario. */
export interface Result {
  readonly scenario: string;
  readonly seconds: number;
  readonly outcomes: readonly Outcome[];
  /** Why it did not run. */
  readonly unavailable?: string;
}

/** All results, with the machine and the form of the run. */
export interface Report {
  readonly date: string;
  readonly form: 'short' | 'long';
  readonly seed: number;
  readonly machine: {
    readonly node: string;
    readonly kernel: string;
    readonly processors: number;
    readonly disturbance: Disturbance;
  };
  readonly results: readonly Result[];
}

export function makeReport(
  results: readonly Result[],
  { isShort, seed }: Pick<Options, 'isShort' | 'seed'>,
  disturbance: Disturbance,
): Report {
  return {
    date: new Date().toISOString(),
    form: isShort ? 'short' : 'long',
    seed,
    machine: { node: process.version, kernel: os.release(), processors: os.availableParallelism(), disturbance },
    results,
  };
}

/** Exit code if something was broken, or if nothing of what was asked for by name could run. */
const EXIT_BROKEN = 1;

/**
 * Returns the exit code: a promise that cannot be tested here is no failure, unless it was asked for; with
 * `isComplete`, as in CI, every promise must have been tested completely.
 */
export function exitCodeOf(
  results: readonly Result[],
  { only, isComplete }: Pick<Options, 'only' | 'isComplete'>,
): number {
  const isAnyBroken = results.some(({ outcomes }) => outcomes.some(isBroken));
  const isMissing = results.some(({ scenario, outcomes }) => {
    if (isComplete) return outcomes.length === 0 || outcomes.some(isIncomplete);
    return only.includes(scenario) && outcomes.every(isLeftOut);
  });
  return isAnyBroken || isMissing ? EXIT_BROKEN : 0;
}

function isLeftOut({ notRun }: Outcome): boolean {
  return notRun !== undefined;
}

function isIncomplete(outcome: Outcome): boolean {
  return isLeftOut(outcome) || outcome.partly !== undefined;
}

function resultOf({ broken, notRun, partly }: Outcome): string {
  if (notRun !== undefined) return 'NOT RUN';
  if (broken.length > 0) return 'BROKEN';
  return partly === undefined ? 'kept' : 'kept in part';
}

function seenOf({ detail, notRun, partly }: Outcome): string {
  return notRun ?? (partly === undefined ? detail : `in part: ${partly}; ${detail}`);
}

const COLUMNS = ['scenario', 'promise', 'tried', 'time', 'result', 'seen'].map((title) => ({ title }));

/**
 * Formats the table, and below it how promises were broken.
 *
 * @param width columns of the terminal; undefined if the output is no terminal
 */
export function formatReport({ form, seed, machine, results }: Report, width: number | undefined): string {
  const lines = results.flatMap(({ scenario, seconds, outcomes, unavailable }) =>
    unavailable === undefined
      ? outcomes.map((outcome, index) => [
          scenario,
          outcome.what,
          isLeftOut(outcome) ? '' : `${outcome.count} ${outcome.unit}`,
          index === 0 ? `${seconds.toFixed(0)} s` : '',
          resultOf(outcome),
          seenOf(outcome),
        ])
      : [[scenario, 'all of it', '', '', 'NOT RUN', unavailable]],
  );
  const breaches = results.flatMap(({ scenario, outcomes }) =>
    outcomes.flatMap(({ what, broken }) => broken.map((sentence) => `${scenario}, ${what}: ${sentence}`)),
  );
  const count = (result: string): number => lines.filter((line) => line[4] === result).length;
  const missing = [
    ['not run', count('NOT RUN')],
    ['in part', count('kept in part')],
  ].flatMap(([what, lacking]) => (lacking === 0 ? [] : [`; ${what}: ${lacking}`]));
  return [
    `${form} form, seed ${seed}; Node ${machine.node}, Linux ${machine.kernel}, ${machine.processors} processors`,
    ...(isDisturbing(machine.disturbance)
      ? [
          'Other processes used this machine meanwhile: they may have broken promises about time in “pressure” and “access”.',
        ]
      : []),
    '',
    formatTableOrRecords(COLUMNS, lines, width),
    ...breaches,
    ...(breaches.length === 0 ? [] : ['']),
    `${count('kept')} promises kept, ${count('BROKEN')} broken${missing.join('')}` +
      (missing.length === 0 ? '' : ', for what “seen” says (CONTRIBUTING.md has what everything needs)'),
    '',
  ].join('\n');
}
