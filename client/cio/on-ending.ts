/** Signals by which a process is usually ended, and would leave behind what it has begun. */
export const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/** All that end one (signal(7)), but for those of a fault of its own, those that Node ignores, and those that it has no names for. */
export const ALL_ENDING_SIGNALS: readonly NodeJS.Signals[] = [
  ...ENDING_SIGNALS,
  'SIGABRT',
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGSTKFLT',
  'SIGXCPU',
  'SIGVTALRM',
  'SIGPROF',
  'SIGIO',
  'SIGPWR',
];

/**
 * Does something before a signal ends this process, as the signal does then; not after it was disposed of.
 *
 * @param work is to be synchronous, and to bear being called once more
 * @param signals all that end a process, unless given
 */
export function onEnding(work: () => void, signals: readonly NodeJS.Signals[] = ALL_ENDING_SIGNALS): Disposable {
  const forget = (): void => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    forget();
    try {
      work();
    } finally {
      // Without its listener the signal does what it always does.
      process.kill(process.pid, signal);
    }
  };
  for (const signal of signals) process.on(signal, onSignal);
  return { [Symbol.dispose]: forget };
}
