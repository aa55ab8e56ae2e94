/** `npm run torture`: does to daemons what may happen to them, and says which promises they kept. */
import { BenchScope } from '../bench/bench-scope.ts';
import { watchDisturbance } from '../bench/disturbance.ts';
import { runInterruptibly, stayIfInterrupted } from '../bench/interruption.ts';
import { runProgram } from '../support/command-line.ts';
import { ResultFile } from '../support/result-file.ts';
import { parseOptions, usage } from './options.ts';
import type { Options } from './options.ts';
import { Random } from './random.ts';
import { exitCodeOf, formatReport, makeReport } from './report.ts';
import type { Result } from './report.ts';
import type { Outcome, Scenario, Torture } from './scenario.ts';
import { access } from './scenarios/access.ts';
import { crash } from './scenarios/crash.ts';
import { damage } from './scenarios/damage.ts';
import { fuzz } from './scenarios/fuzz.ts';
import { model } from './scenarios/model.ts';
import { powerLoss } from './scenarios/power-loss.ts';
import { pressure } from './scenarios/pressure.ts';
import { secrets } from './scenarios/secrets.ts';

const SCENARIOS: readonly Scenario[] = [crash, powerLoss, damage, pressure, fuzz, model, access, secrets];
/** How often a scenario tells a log how far it is. */
const LOG_LINES = 5;

const ids = SCENARIOS.map(({ id }) => id);
process.exitCode = await runProgram(
  usage(SCENARIOS),
  () => parseOptions(process.argv.slice(2), ids),
  (options) => runInterruptibly(() => torture(options)),
);

async function torture(options: Options): Promise<number> {
  const file = ResultFile.reserve(options.json);
  const disturbance = watchDisturbance();
  const results: Result[] = [];
  for (const scenario of SCENARIOS) {
    if (options.only.length > 0 && !options.only.includes(scenario.id)) continue;
    results.push(await put(scenario, options));
  }
  const report = makeReport(results, options, disturbance());
  process.stdout.write(`\n${formatReport(report, process.stdout.columns)}`);
  file.write(report);
  return exitCodeOf(results, options);
}

async function put(scenario: Scenario, { isShort, seed }: Options): Promise<Result> {
  const { id } = scenario;
  const unavailable = scenario.unavailable?.();
  if (unavailable !== undefined) {
    process.stderr.write(`${id}: left out, ${unavailable}\n`);
    return { scenario: id, seconds: 0, outcomes: [], unavailable };
  }
  const startedMs = performance.now();
  const seconds = (): number => (performance.now() - startedMs) / 1000;
  const isTerminal = process.stderr.isTTY;
  const outcomes = await run(scenario, {
    random: new Random(seed),
    choose: (long, short) => (isShort ? short : long),
    progress(done, all) {
      if (isTerminal) process.stderr.write(`\r\u001b[K${id}: ${done} of ${all}, ${seconds().toFixed(0)} s`);
      else if (Math.floor((done * LOG_LINES) / all) > Math.floor(((done - 1) * LOG_LINES) / all)) {
        process.stderr.write(`${id}: ${done} of ${all}, ${seconds().toFixed(0)} s\n`);
      }
    },
  });
  if (isTerminal) process.stderr.write('\r\u001b[K');
  process.stderr.write(`${id}: ${seconds().toFixed(1)} s${isBroken(outcomes) ? ', BROKEN' : ''}\n`);
  return { scenario: id, seconds: seconds(), outcomes };
}

/** What fails by itself has kept nothing; the other scenarios are still run. */
async function run(scenario: Scenario, torture: Omit<Torture, 'scope'>): Promise<readonly Outcome[]> {
  try {
    await using scope = new BenchScope();
    return await scenario.run({ ...torture, scope });
  } catch (error) {
    await stayIfInterrupted();
    const broken = [error instanceof Error ? (error.stack ?? error.message) : String(error)];
    return [{ what: 'it can be tried to its end', count: 0, unit: 'ends', detail: '', broken }];
  }
}

function isBroken(outcomes: readonly Outcome[]): boolean {
  return outcomes.some(({ broken }) => broken.length > 0);
}
