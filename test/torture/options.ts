import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

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

/** The command line is not understood; the message says what. */
export class UsageError extends Error {}

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
  const values = parse(argv);
  const only = values.only ?? [];
  const unknown = only.find((id) => !scenarios.includes(id));
  if (unknown !== undefined) {
    throw new UsageError(`there is no scenario ${unknown}; the scenarios are ${scenarios.join(', ')}`);
  }
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

function parse(argv: readonly string[]): {
  short?: boolean;
  only?: string[];
  seed?: string;
  json?: string;
  help?: boolean;
} {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        short: { type: 'boolean' },
        only: { type: 'string', multiple: true },
        seed: { type: 'string' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : 'the arguments are not understood');
  }
}
