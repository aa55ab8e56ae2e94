import { parseSeed, parseWords, requireKnown } from '../support/command-line.ts';

/** The options of the torture. */
export interface Options {
  /** The short form, which CI runs: minutes instead of an hour. */
  readonly isShort: boolean;
  /** Ids of scenarios; empty for all. */
  readonly only: readonly string[];
  readonly seed: number;
  /** The path of the JSON report. */
  readonly json: string;
  /** Whether anything not run is a failure, as skipped tests are in CI. */
  readonly isComplete: boolean;
  readonly isHelp: boolean;
}

const DEFAULT_JSON = 'build/torture.json';

/** Returns the help text, with a line for each scenario. */
export function usage(scenarios: readonly { readonly id: string; readonly describe: string }[]): string {
  const lines = scenarios.map(({ id, describe }) => `  ${id.padEnd(14)}${describe}\n`).join('');
  return `Usage: npm run torture -- [--short] [--only SCENARIO]… [--seed N] [--json FILE]

Starts daemons, harms them in many ways, and prints which promises they kept.

  --short          the short form, which CI runs: a few minutes instead of an hour or more
  --only SCENARIO  runs this scenario only; may be given more than once
  --seed N         makes the same random choices as an earlier run
  --json FILE      writes the results there (default: ${DEFAULT_JSON})

Scenarios:
${lines}
Exits with 1 if a promise was broken, or if no part of a scenario named by --only could run. The table shows what this
machine lacks for scenarios that did not run. With CI=true in the environment, exits with 1 as well if anything did not
run, or ran in part only.
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
