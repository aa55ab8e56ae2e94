/** `npm run bench`: measures the budgets of ARCHITECTURE.md, each beside its reference in the same run. */
import { writeFileSync } from 'node:fs';
import { runProgram } from '../support/command-line.ts';
import { BenchScope } from './bench-scope.ts';
import { runGate } from './gate/gate.ts';
import { Load } from './load.ts';
import { isMet } from './measurement.ts';
import type { Measurement } from './measurement.ts';
import { parseOptions, USAGE } from './options.ts';
import type { Options } from './options.ts';
import { writePlots } from './plots/plots.ts';
import { PreparedStores } from './prepared-stores.ts';
import { formatReport, loadAverage, makeReport } from './report.ts';
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
const EXIT_MISSED = 1;

const ids = ROWS.map(({ id }) => id);
process.exitCode = await runProgram(USAGE, () => parseOptions(process.argv.slice(2), ids), bench);

async function bench(options: Options): Promise<number> {
  if (options.isGate) return (await runGate()) ? 0 : EXIT_MISSED;
  const loadBefore = loadAverage();
  const startedMs = performance.now();
  const measurements = await measureAll(options);
  const seconds = (performance.now() - startedMs) / 1000;
  const report = makeReport(measurements, options, { seconds, loadBefore });
  process.stdout.write(`\n${formatReport(report)}`);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  if (options.plots !== undefined) writePlots(report, options.plots);
  const isMissed = measurements.some((measurement) => isMet(measurement) === false);
  return options.isStrict && isMissed ? EXIT_MISSED : 0;
}

async function measureAll(options: Options): Promise<Measurement[]> {
  await using shared = new BenchScope();
  const load = new Load(shared);
  const stores = new PreparedStores(shared, load);
  const choose = (long: number, quick: number): number => (options.isQuick ? quick : long);
  const measurements: Measurement[] = [];
  for (const row of ROWS) {
    if (!isChosen(row, options)) continue;
    const startedMs = performance.now();
    process.stderr.write(`${row.id} … `);
    await using scope = new BenchScope();
    measurements.push(...(await row.measure({ scope, options, load, stores, choose })));
    process.stderr.write(`${((performance.now() - startedMs) / 1000).toFixed(1)} s\n`);
  }
  return measurements;
}

function isChosen(row: Row, { only, soakMinutes, hasPeers }: Options): boolean {
  if (row === peers) return hasPeers;
  if (only.length > 0) return only.includes(row.id);
  return row !== createSlowDisk && (row !== soak || soakMinutes > 0);
}
