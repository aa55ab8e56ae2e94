import { parseSeed, parseWords, requireKnown } from '../support/command-line.ts';

/** How the torture is to run. */
export interface Options {
  /** The form that runs in CI: minutes instead of an hour. */
  readonly isShort: boolean;
  /** Ids of scenarios; empty for all. */
  readonly only: readonly string[];
  readonly seed: number;
  /** Where the results go as JSON. */
  readonly json: string;
  /** What is not run is a failure, as in CI a test that is skipped is. */
  readonly isComplete: boolean;
  readonly isHelp: boolean;
}

const DEFAULT_JSON = 'build/torture.json';

/** The help, with a line for each scenario. */
export function usage(scenarios: readonly { readonly id: string; readonly describe: string }[]): string {
  const lines = scenarios.map(({ id, describe }) => `  ${id.padEnd(14)}${describe}\n`).join('');
  return `Usage: npm run torture -- [--short] [--only SCENARIO]… [--seed N] [--json FILE]

Harms daemons of its own in every way it knows, and prints which promises they kept.

  --short          the form for CI: a few minutes; without it, an hour or more
  --only SCENARIO  this one only; may be given more than once
  --seed N         repeats the choices of an earlier run
  --json FILE      where the results are written (${DEFAULT_JSON})

Scenarios:
${lines}
Exit code 1 where a promise was broken, or where nothing could run of a scenario that was asked for by --only; what this machine
lacks for the others is in the table. With CI=true in the environment, exit code 1 also for anything that was not run, or in part only.
`;
}

/** @throws UsageError */
export function parseOptions(argv: readonly string[], scenarios: readonly string[]): Options {
  const values = parseWords(argv, {
    short: { type: 'boolean' },
    only: { type: 'string', multiple: true },
    seed: { type: 'string' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  });
  const only = values.only ?? [];
  requireKnown('scenario', only, scenarios);
  return {
    isShort: values.short ?? false,
    only,
    seed: parseSeed(values.seed),
    json: values.json ?? DEFAULT_JSON,
    isComplete: process.env['CI'] === 'true',
    isHelp: values.help ?? false,
  };
}
