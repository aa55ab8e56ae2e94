/** `npm run bench`: measures the budgets of ARCHITECTURE.md, each with its reference in the same run. */
import path from 'node:path';
import { runProgram, UsageError } from '../support/command-line.ts';
import { ResultFile } from '../support/result-file.ts';
import { prepareTestEnvironment } from '../../tools/tasks/test-environment.ts';
import { BenchScope } from './bench-scope.ts';
import { watchDisturbance } from './disturbance.ts';
import { runGate } from './gate/gate.ts';
import { runInterruptibly, stayIfInterrupted } from './interruption.ts';
import { Load } from './load.ts';
import { parseOptions, USAGE } from './options.ts';
import type { Options } from './options.ts';
import { PLOTTED, writePlots } from './plots/plots.ts';
import { PreparedStores } from './prepared-stores.ts';
import { storesOnDisk } from './stores-on-disk.ts';
import { exitCodeOf, formatReport, loadAverage, makeReport } from './report.ts';
import type { Results } from './report.ts';
import { Unavailable } from './row.ts';
import type { Row } from './row.ts';
import { commands } from './rows/commands.ts';
import { create, createSlowDisk } from './rows/create.ts';
import { getOneAtATime, getPipelined } from './rows/get.ts';
import { getSet } from './rows/set.ts';
import { list } from './rows/list.ts';
import { clients } from './rows/clients.ts';
import { sizes } from './rows/sizes.ts';
import { many } from './rows/many.ts';
import { idleMemory, loadedMemory, soak } from './rows/memory.ts';
import { activation } from './rows/activation.ts';
import { exec } from './rows/exec.ts';
import { units } from './rows/units.ts';
import { peers } from './rows/peers.ts';
import { ready } from './rows/ready.ts';
import { validate, validateBeside } from './rows/validate.ts';

const ROWS: readonly Row[] = [
  commands,
  exec,
  getOneAtATime,
  getPipelined,
  clients,
  getSet,
  create,
  createSlowDisk,
  many,
  sizes,
  list,
  idleMemory,
  loadedMemory,
  units,
  ready,
  activation,
  validate,
  validateBeside,
  soak,
  peers,
];
const EXIT_EXCEEDED = 1;

const ids = ROWS.map(({ id }) => id);
process.exitCode = await runProgram(
  USAGE,
  () => parseOptions(process.argv.slice(2), ids),
  (options) => runInterruptibly(() => bench(options)),
);

async function bench(options: Options): Promise<number> {
  storesOnDisk();
  const unfit = prepareTestEnvironment();
  if (unfit !== undefined) throw new UsageError(unfit);
  if (options.isGate) return (await runGate()) ? 0 : EXIT_EXCEEDED;
  const { json, plots } = options;
  const file = json === undefined ? undefined : ResultFile.reserve(json);
  if (plots !== undefined) ResultFile.reserve(path.join(plots, PLOTTED));
  const loadBefore = loadAverage();
  const startedMs = performance.now();
  const disturbance = watchDisturbance();
  const results = await measureAll(options);
  const seconds = (performance.now() - startedMs) / 1000;
  const report = makeReport(results, options, { seconds, loadBefore, disturbance: disturbance() });
  process.stdout.write(`\n${formatReport(report, process.stdout.columns)}`);
  file?.write(report);
  if (plots !== undefined) writePlots(report, plots);
  return exitCodeOf(report, options);
}

async function measureAll(options: Options): Promise<Results> {
  await using shared = new BenchScope();
  const load = new Load(shared, options.seed);
  const stores = new PreparedStores(shared, load);
  const choose = (long: number, quick: number): number => (options.isQuick ? quick : long);
  const results: Results = { measurements: [], leftOut: [], failed: [] };
  for (const row of ROWS) {
    if (!isChosen(row, options)) continue;
    const startedMs = performance.now();
    process.stderr.write(`${row.id} … `);
    const leaveOut = (what: string, reason: string): void => {
      results.leftOut.push({ row: row.id, what, reason });
      process.stderr.write(`${what} not run: ${reason}; `);
    };
    try {
      await using scope = new BenchScope();
      results.measurements.push(...(await row.measure({ scope, options, load, stores, choose, leaveOut })));
    } catch (error) {
      await stayIfInterrupted();
      // The other rows are measured nevertheless.
      load.restart();
      if (error instanceof Unavailable) leaveOut('all of it', error.message);
      else results.failed.push({ row: row.id, error: describe(error) });
    }
    process.stderr.write(`${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`);
  }
  return results;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function isChosen(row: Row, { only, soakMinutes, hasPeers }: Options): boolean {
  if (row === peers) return hasPeers;
  if (only.length > 0) return only.includes(row.id);
  return row !== createSlowDisk && (row !== soak || soakMinutes > 0);
}
