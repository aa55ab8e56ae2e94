/** `npm run torture`: harms daemons in many ways, and reports which promises they kept. */
import { watchDisturbance } from '../bench/disturbance.ts';
import { runInterruptibly } from '../bench/interruption.ts';
import { runProgram, UsageError } from '../support/command-line.ts';
import { ResultFile } from '../support/result-file.ts';
import { prepareTestEnvironment } from '../../tools/tasks/test-environment.ts';
import { parseOptions, usage } from './options.ts';
import type { Options } from './options.ts';
import { put } from './put.ts';
import { exitCodeOf, formatReport, makeReport } from './report.ts';
import type { Result } from './report.ts';
import type { Scenario } from './scenario.ts';
import { access } from './scenarios/access.ts';
import { concurrent } from './scenarios/concurrent.ts';
import { crash } from './scenarios/crash.ts';
import { damage } from './scenarios/damage.ts';
import { fuzz } from './scenarios/fuzz.ts';
import { model } from './scenarios/model.ts';
import { powerLoss } from './scenarios/power-loss.ts';
import { pressure } from './scenarios/pressure.ts';
import { secrets } from './scenarios/secrets.ts';

const SCENARIOS: readonly Scenario[] = [crash, powerLoss, damage, pressure, fuzz, model, concurrent, access, secrets];

const ids = SCENARIOS.map(({ id }) => id);
process.exitCode = await runProgram(
  usage(SCENARIOS),
  () => parseOptions(process.argv.slice(2), ids),
  (options) => runInterruptibly(() => torture(options)),
);

async function torture(options: Options): Promise<number> {
  const unfit = prepareTestEnvironment();
  if (unfit !== undefined) throw new UsageError(unfit);
  const file = ResultFile.reserve(options.json);
  const disturbance = watchDisturbance();
  const results: Result[] = [];
  for (const scenario of SCENARIOS) {
    if (options.only.length > 0 && !options.only.includes(scenario.id)) continue;
    results.push(await put(scenario, options, process.stderr));
  }
  const report = makeReport(results, options, disturbance());
  process.stdout.write(`\n${formatReport(report, process.stdout.columns)}`);
  file.write(report);
  return exitCodeOf(results, options);
}
