/** The signals that usually end a process, which would then leave its work half done. */
export const TERMINATION_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;

/**
 * All signals that end a process (signal(7)), except those for its own faults, those that Node ignores, and those that
 * Node has no names for.
 */
export const ALL_TERMINATION_SIGNALS: readonly NodeJS.Signals[] = [
  ...TERMINATION_SIGNALS,
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
 * Does some work before a signal ends this process. The signal then ends it as usual. Disposing removes the listeners.
 *
 * @param work must be synchronous, and safe to call twice
 * @param signals all that end a process by default
 */
export function onTermination(
  work: () => void,
  signals: readonly NodeJS.Signals[] = ALL_TERMINATION_SIGNALS,
): Disposable {
  const forget = (): void => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    forget();
    try {
      work();
    } finally {
      // Without a listener, the signal has its default effect.
      process.kill(process.pid, signal);
    }
  };
  for (const signal of signals) process.on(signal, onSignal);
  return { [Symbol.dispose]: forget };
}
