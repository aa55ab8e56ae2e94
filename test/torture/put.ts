import { inspect } from 'node:util';

import { BenchScope } from '../bench/bench-scope.ts';
import { stayIfInterrupted } from '../bench/interruption.ts';
import type { Options } from './options.ts';
import { Random } from './random.ts';
import type { Result } from './report.ts';
import { isBroken } from './scenario.ts';
import type { Outcome, Scenario, Torture } from './scenario.ts';

/** How many times a scenario reports its progress to a log that is no terminal. */
const LOG_LINES = 5;
const CLEAR_LINE = '\r\u001b[K';

/** Where progress and broken promises are reported, as soon as they are known. */
export type Log = Pick<typeof process.stderr, 'write' | 'isTTY'>;

/** Tests the promises of a scenario. */
export async function put(
  scenario: Scenario,
  { isShort, seed }: Pick<Options, 'isShort' | 'seed'>,
  log: Log,
): Promise<Result> {
  const { id } = scenario;
  const unavailable = scenario.unavailable?.();
  if (unavailable !== undefined) {
    log.write(`${id}: left out, ${unavailable}\n`);
    return { scenario: id, seconds: 0, outcomes: [], unavailable };
  }
  const startedMs = performance.now();
  const seconds = (): number => (performance.now() - startedMs) / 1000;
  const outcomes: Outcome[] = [];
  const torture: Omit<Torture, 'scope'> = {
    random: new Random(seed),
    choose: (long, short) => (isShort ? short : long),
    progress(done, all) {
      if (log.isTTY) log.write(`${CLEAR_LINE}${id}: ${done} of ${all}, ${seconds().toFixed(0)} s`);
      else if (Math.floor((done * LOG_LINES) / all) > Math.floor(((done - 1) * LOG_LINES) / all)) {
        log.write(`${id}: ${done} of ${all}, ${seconds().toFixed(0)} s\n`);
      }
    },
  };
  for await (const outcome of toItsEnd(scenario, torture)) {
    // Damage done by the interrupting signal itself is no breach. Earlier breaches have been logged already, as an
    // interrupted run prints no table.
    if (isBroken(outcome)) await stayIfInterrupted();
    outcomes.push(outcome);
    const clear = log.isTTY ? CLEAR_LINE : '';
    for (const sentence of outcome.broken) log.write(`${clear}${id}: BROKEN, ${outcome.what}: ${sentence}\n`);
  }
  if (log.isTTY) log.write(CLEAR_LINE);
  log.write(`${id}: ${seconds().toFixed(1)} s${outcomes.some(isBroken) ? ', BROKEN' : ''}\n`);
  return { scenario: id, seconds: seconds(), outcomes };
}

/** Runs a scenario; its failure becomes a broken outcome, so that the other scenarios still run. */
async function* toItsEnd(scenario: Scenario, torture: Omit<Torture, 'scope'>): AsyncGenerator<Outcome> {
  const end = { what: 'it can be tried to its end', count: 0, unit: 'ends', detail: '' };
  try {
    await using scope = new BenchScope();
    let isAnyTried = false;
    for await (const outcome of scenario.run({ ...torture, scope })) {
      isAnyTried = true;
      yield asTried(outcome);
    }
    if (!isAnyTried) yield { ...end, broken: [NOTHING_TRIED] };
  } catch (error) {
    await stayIfInterrupted();
    yield { ...end, broken: [inspect(error)] };
  }
}

const NOTHING_TRIED = 'nothing was tried';

/** Marks a promise that was never tested as broken. */
function asTried(outcome: Outcome): Outcome {
  const isTried = outcome.count > 0 || outcome.notRun !== undefined;
  return isTried ? outcome : { ...outcome, broken: [...outcome.broken, NOTHING_TRIED] };
}
