import { parseSeed, parseWords, requireKnown, UsageError } from '../support/command-line.ts';

/** How the benchmark is to run. */
export interface Options {
  /** Fewer rounds and smaller stores: two to three minutes. */
  readonly isQuick: boolean;
  /** Ids of rows; empty for all. */
  readonly only: readonly string[];
  /** How long the daemon is put under load for its memory to be watched; 0 for not at all. */
  readonly soakMinutes: number;
  /** Other programs that keep secrets are measured too. */
  readonly hasPeers: boolean;
  /** Where the results, and the plots of the rows that scale, go. */
  readonly plots: string | undefined;
  /** Nothing is measured: what can be counted is held against its bounds. */
  readonly isGate: boolean;
  /** Where the results go as JSON. */
  readonly json: string | undefined;
  /** A missed budget is a failure. */
  readonly isStrict: boolean;
  /** Of the names that are asked for at random. */
  readonly seed: number;
  readonly isHelp: boolean;
}

/** As long as the budget says. */
const SOAK_MINUTES = 10;

export const USAGE = `Usage: npm run bench -- [--quick] [--only ROW]… [--soak MINUTES] [--peers]
                        [--json FILE] [--plots FOLDER] [--strict] [--seed N]
       npm run bench -- --gate

Measures the budgets of ARCHITECTURE.md, each beside its reference, and prints one table. What this machine lacks for a row
is said below it: that is no failure, unless the row was asked for by --only.

  --quick         fewer rounds, smaller stores: two to three minutes
  --only ROW      this row only; may be given more than once
                  (create-slow-disk runs in no other way: both sides under strace, which makes each sync take longer)
  --soak MINUTES  keeps the daemon under load for so long, and watches its memory (--only soak: ${SOAK_MINUTES})
  --peers         other programs that keep secrets, too, as far as they are installed
  --json FILE     writes the results there too
  --plots FOLDER  writes the results there, as bench.json and, of the rows that scale, as plots
  --strict        ends with exit code 1 where a budget is missed
  --seed N        asks for the same names, where names are asked for at random
  --gate          counts system calls, bytes and sizes instead, which no load of the machine changes, and ends with
                  exit code 1 where one is over its bound
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
