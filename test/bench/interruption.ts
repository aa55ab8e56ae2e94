import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { BenchScope } from './bench-scope.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** Limit for the clean-up, in ms. Daemons that end on SIGTERM have 20 s, but none is ended so here. */
const CLEAN_UP_MS = 15_000;
const EXIT_FAILED = 1;

let isEnding = false;

/**
 * Runs a program so that a signal leaves nothing of it behind: ends every scope, and then the process by that signal. A
 * second signal does not wait. A closed output is no reason to end.
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
  // An error that no row or scenario caught: clean up as well.
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
 * Resolves at once, unless a signal arrived: then never. Failures caused by the signal are thus not reported; a child
 * may have been ended by it a moment before this process sees it.
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
  // The work under way fails, as everything it uses is cleaned up; its error is not reported.
  process.stderr.write('\ninterrupted: cleaning up …\n');
  const errors = await Promise.race([BenchScope.endAll(), sleep(CLEAN_UP_MS, [new Error('it takes too long')])]);
  for (const error of errors) process.stderr.write(`something is left behind: ${String(error)}\n`);
}
