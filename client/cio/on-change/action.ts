import { usageError } from '../command-error.ts';

/** What happens to a command when its set has changed: it is restarted, or gets a signal to read the set again. */
export type OnChange = 'restart' | 'SIGHUP' | 'SIGUSR1' | 'SIGUSR2' | 'SIGTERM' | 'SIGINT';

export const ON_CHANGE: readonly OnChange[] = ['restart', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGTERM', 'SIGINT'];

/** @throws CommandError `Usage` */
export function parseOnChange(text: string | undefined): OnChange | undefined {
  if (text === undefined) return undefined;
  const action = ON_CHANGE.find((known) => known === text || known === `SIG${text}`);
  if (action === undefined) throw usageError(`--on-change is one of ${ON_CHANGE.join(', ')}`);
  return action;
}
