import os from 'node:os';
import type { Options } from './options.ts';
import type { Outcome } from './scenario.ts';

/** What came of one scenario. */
export interface Result {
  readonly scenario: string;
  readonly seconds: number;
  readonly outcomes: readonly Outcome[];
  /** Why it did not run. */
  readonly unavailable?: string;
}

/** Everything that was tried, and on what. */
export interface Report {
  readonly date: string;
  readonly form: 'short' | 'long';
  readonly seed: number;
  readonly machine: { readonly node: string; readonly kernel: string; readonly processors: number };
  readonly results: readonly Result[];
}

export function makeReport(results: readonly Result[], { isShort, seed }: Options): Report {
  return {
    date: new Date().toISOString(),
    form: isShort ? 'short' : 'long',
    seed,
    machine: { node: process.version, kernel: os.release(), processors: os.cpus().length },
    results,
  };
}

/** The table for people, and below it how promises were broken. */
export function formatReport({ form, seed, machine, results }: Report): string {
  const lines = results.flatMap(({ scenario, seconds, outcomes, unavailable }) =>
    unavailable === undefined
      ? outcomes.map(({ what, count, unit, detail, broken }, index) => [
          scenario,
          what,
          `${count} ${unit}`,
          index === 0 ? `${seconds.toFixed(0)} s` : '',
          broken.length === 0 ? 'kept' : 'BROKEN',
          detail,
        ])
      : [[scenario, `not run: ${unavailable}`, '', '', 'NOT RUN', '']],
  );
  const breaches = results.flatMap(({ scenario, outcomes }) =>
    outcomes.flatMap(({ what, broken }) => broken.map((sentence) => `${scenario}, ${what}: ${sentence}`)),
  );
  return [
    `${form} form, seed ${seed}; Node ${machine.node}, Linux ${machine.kernel}, ${machine.processors} processors`,
    '',
    ...formatTable([['scenario', 'promise', 'tried', 'time', 'result', 'seen'], ...lines]),
    '',
    ...breaches,
    '',
  ].join('\n');
}

function formatTable(lines: readonly (readonly string[])[]): string[] {
  const columns = lines[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  return lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
