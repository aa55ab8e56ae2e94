/** `npm run torture`: does to daemons what may happen to them, and says which promises they kept. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { BenchScope } from '../bench/bench-scope.ts';
import { runProgram } from '../support/command-line.ts';
import { parseOptions, usage } from './options.ts';
import type { Options } from './options.ts';
import { Random } from './random.ts';
import { formatReport, makeReport } from './report.ts';
import type { Result } from './report.ts';
import type { Outcome, Scenario } from './scenario.ts';
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

const EXIT_BROKEN = 1;

const ids = SCENARIOS.map(({ id }) => id);
process.exitCode = await runProgram(usage(SCENARIOS), () => parseOptions(process.argv.slice(2), ids), torture);

async function torture(options: Options): Promise<number> {
  const results: Result[] = [];
  for (const scenario of SCENARIOS) {
    if (options.only.length > 0 && !options.only.includes(scenario.id)) continue;
    results.push(await put(scenario, options));
  }
  const report = makeReport(results, options);
  process.stdout.write(`\n${formatReport(report)}`);
  mkdirSync(path.dirname(path.resolve(options.json)), { recursive: true });
  writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
  return results.every(({ outcomes }) => outcomes.every(({ broken }) => broken.length === 0)) ? 0 : EXIT_BROKEN;
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
  await using scope = new BenchScope();
  const outcomes = await scenario.run({
    scope,
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

function isBroken(outcomes: readonly Outcome[]): boolean {
  return outcomes.some(({ broken }) => broken.length > 0);
}
