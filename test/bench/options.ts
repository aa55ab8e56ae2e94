import { parseSeed, parseWords, requireKnown, UsageError } from '../support/command-line.ts';

/** The options of the benchmark. */
export interface Options {
  /** Fewer rounds and smaller stores: two to three minutes. */
  readonly isQuick: boolean;
  /** Ids of rows; empty for all. */
  readonly only: readonly string[];
  /** For how long the daemon is under load while its memory is watched; 0 for not at all. */
  readonly soakMinutes: number;
  /** Whether to measure other programs that keep secrets, too. */
  readonly hasPeers: boolean;
  /** The folder for the results, and for plots of the rows that scale. */
  readonly plots: string | undefined;
  /** Whether to compare counts with their bounds instead of measuring. */
  readonly isGate: boolean;
  /** The path of the JSON report. */
  readonly json: string | undefined;
  /** Whether a missed budget is a failure. */
  readonly isStrict: boolean;
  /** The seed of the random names. */
  readonly seed: number;
  readonly isHelp: boolean;
}

/** The duration that the budget requires. */
const SOAK_MINUTES = 10;

export const USAGE = `Usage: npm run bench -- [--quick] [--only ROW]… [--soak MINUTES] [--peers]
                        [--json FILE] [--plots FOLDER] [--strict] [--seed N]
       npm run bench -- --gate

Measures the budgets of ARCHITECTURE.md, each together with its reference, and prints one table. If this machine lacks
something for a row, the reason is printed below the row. That is a failure only if the row was named by --only.

  --quick         fewer rounds, smaller stores: two to three minutes
  --only ROW      measures this row only; may be given more than once
                  (create-slow-disk runs only if named: both sides under strace, which makes each sync take longer)
  --soak MINUTES  keeps the daemon under load for that long and watches its memory (--only soak: ${SOAK_MINUTES})
  --peers         also measures other programs that keep secrets, if they are installed
  --json FILE     also writes the results to this file
  --plots FOLDER  writes the results there: bench.json, and plots of the rows that scale
  --strict        exits with 1 if a budget is missed
  --seed N        requests the same random names as an earlier run
  --gate          counts system calls, bytes and sizes instead, which the load of the machine does not change, and exits
                  with 1 if a count is over its bound
`;

/** @throws UsageError */
export function parseOptions(argv: readonly string[], rows: readonly string[]): Options {
  const values = parseWords(argv, {
    quick: { type: 'boolean' },
    only: { type: 'string', multiple: true },
    soak: { type: 'string' },
    peers: { type: 'boolean' },
    plots: { type: 'string' },
    gate: { type: 'boolean' },
    json: { type: 'string' },
    strict: { type: 'boolean' },
    seed: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  });
  const only = values.only ?? [];
  requireKnown('row', only, rows);
  const soakMinutes = Number(values.soak ?? (only.includes('soak') ? SOAK_MINUTES : 0));
  if (!Number.isFinite(soakMinutes) || soakMinutes < 0) throw new UsageError('--soak takes a number of minutes');
  return {
    isQuick: values.quick ?? false,
    only,
    soakMinutes,
    hasPeers: values.peers ?? only.includes('peers'),
    plots: values.plots,
    isGate: values.gate ?? false,
    json: values.json,
    isStrict: values.strict ?? false,
    seed: parseSeed(values.seed),
    isHelp: values.help ?? false,
  };
}
