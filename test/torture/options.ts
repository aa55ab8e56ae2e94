import { randomInt } from 'node:crypto';
import { parseWords, requireKnown, UsageError } from '../support/command-line.ts';

/** How the torture is to run. */
export interface Options {
  /** The form that runs in CI: minutes instead of an hour. */
  readonly isShort: boolean;
  /** Ids of scenarios; empty for all. */
  readonly only: readonly string[];
  readonly seed: number;
  /** Where the results go as JSON. */
  readonly json: string;
  readonly isHelp: boolean;
}

const SEED_LIMIT = 2 ** 32;
const DEFAULT_JSON = 'build/torture.json';

/** The help, with a line for each scenario. */
export function usage(scenarios: readonly { readonly id: string; readonly describe: string }[]): string {
  const lines = scenarios.map(({ id, describe }) => `  ${id.padEnd(14)}${describe}\n`).join('');
  return `Usage: npm run torture -- [--short] [--only SCENARIO]… [--seed N] [--json FILE]

Harms daemons of its own in every way it knows, and prints which promises they kept.

  --short          the form for CI: a few minutes
  --only SCENARIO  this one only; may be given more than once
  --seed N         repeats the choices of an earlier run
  --json FILE      where the results are written (${DEFAULT_JSON})

Scenarios:
${lines}
Exit code 1 where a promise was broken.
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
  const seed = values.seed === undefined ? randomInt(SEED_LIMIT) : Number(values.seed);
  if (!Number.isInteger(seed) || seed < 0 || seed >= SEED_LIMIT) {
    throw new UsageError(`--seed takes an integer of 0 to ${SEED_LIMIT - 1}`);
  }
  return {
    isShort: values.short ?? false,
    only,
    seed,
    json: values.json ?? DEFAULT_JSON,
    isHelp: values.help ?? false,
  };
}
