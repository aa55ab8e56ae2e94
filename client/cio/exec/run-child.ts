import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { CommandError } from '../command-error.ts';
import { assertFits, type Environment } from '../process-image.ts';

/** Signals to pass on to the command. Those of keys reach it by themselves, unless it has a terminal of its own. */
const FORWARDED_SIGNALS = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;
const KEY_SIGNALS = ['SIGINT', 'SIGQUIT'] as const;

/** Signals by which this process ends if the command did. The others would leave a core file, or do not end Node. */
const RERAISED_SIGNALS: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGKILL', 'SIGUSR2', 'SIGALRM'];

export interface ChildOptions {
  readonly stdio: StdioOptions;
  /** The command has a terminal of its own, so that the signals of keys reach it only through this process. */
  readonly hasOwnTerminal?: boolean;
  /** Called when the command has started. */
  readonly onStarted?: (pid: number) => void;
}

/** How a command ended. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * Runs a command as a child, for which this process stands: the signals that it receives are passed on to the command.
 *
 * @throws CommandError `CommandNotExecutable`
 */
export async function runChild(
  command: readonly string[],
  environment: Environment,
  options: ChildOptions,
): Promise<ChildExit> {
  const [file = '', ...arguments_] = command;
  // If the system refused the size, Node would throw an error of its own.
  assertFits(command, environment);
  const isReached = options.hasOwnTerminal !== true && hasTerminal();
  let child: ChildProcess | undefined;
  const passOn = (signal: NodeJS.Signals): void => void child?.kill(signal);
  const onKey = (signal: NodeJS.Signals): void => void (isReached || child?.kill(signal));
  // The listeners come first: a signal just after the start would end this process, and leave the command running.
  for (const signal of FORWARDED_SIGNALS) process.on(signal, passOn);
  for (const signal of KEY_SIGNALS) process.on(signal, onKey);
  try {
    const started = spawn(file, arguments_, { env: environment, stdio: options.stdio });
    child = started;
    return await new Promise<ChildExit>((resolve, reject) => {
      started.once('error', (error: NodeJS.ErrnoException) => {
        reject(
          new CommandError('CommandNotExecutable', `the command cannot be executed: ${error.code ?? 'unknown error'}`),
        );
      });
      started.once('spawn', () => options.onStarted?.(started.pid ?? 0));
      started.once('exit', (code, signal) => resolve({ code, signal }));
    });
  } finally {
    for (const signal of FORWARDED_SIGNALS) process.off(signal, passOn);
    for (const signal of KEY_SIGNALS) process.off(signal, onKey);
  }
}

/** Ends this process as the command ended: by the same signal, or returns its exit code in a shell's convention. */
export function endAs({ code, signal }: ChildExit): number {
  if (signal === null) return code ?? 1;
  if (RERAISED_SIGNALS.includes(signal)) process.kill(process.pid, signal);
  return 128 + constants.signals[signal];
}

/** Tells whether this process has a controlling terminal (`tty_nr` in proc_pid_stat(5)). */
function hasTerminal(): boolean {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  return stat.slice(stat.lastIndexOf(')')).split(' ')[5] !== '0';
}
