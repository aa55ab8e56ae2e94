import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { BenchScope } from './bench-scope.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Longest time that is taken to clean up: daemons that are to end on SIGTERM have 20 s, and none is asked so here. */
const CLEAN_UP_MS = 15_000;
const EXIT_FAILED = 1;

let isEnding = false;

/**
 * Runs a program so that a signal leaves nothing of it behind: every scope is ended, and then the process, by that signal.
 * A second signal does not wait. An output that nobody reads any more is no reason to end.
 */
export async function runInterruptibly<Result>(run: () => Promise<Result>): Promise<Result> {
  const end = (signal: NodeJS.Signals): void => {
    if (!isEnding) {
      isEnding = true;
      void cleanUp().finally(() => die(signal));
    } else {
      die(signal);
    }
  };
  const die = (signal: NodeJS.Signals): void => {
    for (const listened of SIGNALS) process.off(listened, end);
    process.kill(process.pid, signal);
  };
  // A defect that no row or scenario catches: what there is is taken away all the same.
  const fail = (error: Error): void => {
    if (isEnding) return;
    isEnding = true;
    process.stderr.write(`\n${error.stack ?? error.message}\n`);
    void failCleanly();
  };
  process.on('uncaughtException', fail);
  for (const signal of SIGNALS) process.on(signal, end);
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  try {
    return await run();
  } finally {
    await stayIfInterrupted();
    for (const signal of SIGNALS) process.off(signal, end);
    process.off('uncaughtException', fail);
  }
}

/**
 * Comes back at once, unless there was a signal: then never. What fails because of the signal is no failure; a child may
 * have ended by it a moment before this process hears of it.
 */
export async function stayIfInterrupted(): Promise<void> {
  await setImmediate();
  if (isEnding) await new Promise<never>(() => undefined);
}

async function failCleanly(): Promise<never> {
  await cleanUp();
  process.exit(EXIT_FAILED);
}

async function cleanUp(): Promise<void> {
  // What goes on meanwhile fails, since all that it works with is taken from under it: that is not heard.
  process.stderr.write('\ninterrupted: cleaning up …\n');
  const errors = await Promise.race([BenchScope.endAll(), sleep(CLEAN_UP_MS, [new Error('it takes too long')])]);
  for (const error of errors) process.stderr.write(`something is left behind: ${String(error)}\n`);
}
