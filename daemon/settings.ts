import { isAbsolute, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parseInterval, SYSTEM_INTERVAL_MS } from './health/interval.ts';
import { DAEMON_OPTIONS, type DaemonOption } from './options.ts';

/** File name of the store in the state directory. */
export const STORE_FILE = 'credentials.db';

/** The unchecked arguments and environment of the process. */
export interface RawSettings {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly uid: number;
  readonly pid: number;
  /** Undefined for a user who has none. */
  readonly home: string | undefined;
}

/** Checked settings of a daemon. */
export interface Settings {
  /** Absolute. */
  readonly stateDirectory: string;
  readonly runtimeDirectory: string;
  /** Other users can connect to the sockets; the kernel says who they are. */
  readonly isPublic: boolean;
  /** `$CREDENTIALS_DIRECTORY`, where systemd put the daemon's own credentials. */
  readonly credentialsDirectory: string | undefined;
  /** `$NOTIFY_SOCKET`, where systemd receives the daemon's status (sd_notify(3)). */
  readonly notifySocket: string | undefined;
  /** Time-out of systemd's watchdog; undefined if systemd does not watch the daemon. */
  readonly watchdogMs: number | undefined;
  /** Interval of the scheduled validations; undefined if there are none. */
  readonly validateEveryMs: number | undefined;
}

/** A damaged store, and where the new one is to be. Paths are absolute. */
export interface SalvageSettings {
  readonly stateDirectory: string;
  readonly damaged: string;
  /** An older copy that still has the records which open the store. */
  readonly keysFrom: string | undefined;
}

export type Command =
  | { readonly kind: 'run'; readonly settings: Settings }
  | { readonly kind: 'salvage'; readonly settings: SalvageSettings }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' };

/**
 * The arguments or the environment are wrong; the message says how, and repeats nothing but names of options and
 * variables.
 */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** The text of `--help`. */
export const USAGE: string = `Usage: cio-credentiald [--user | --system] [OPTION…]

Keeps the credentials of backups in one encrypted file and serves them on a Unix socket.

${renderOptions()}
Clients: cio credential --help
Manual: cio-credentiald(8)
`;

/** The longest delay of Node's timers; they replace a longer one by 1 ms. */
const TIMER_MS_MAX: number = 2 ** 31 - 1;

const SYSTEM_STATE = '/var/lib/cio-credentiald';
const SYSTEM_RUNTIME = '/run/cio-credentiald';
const NAME = 'cio-credentiald';

/**
 * Checks the arguments and the environment.
 *
 * @param raw with the process id that `$WATCHDOG_PID` is compared with
 * @throws UsageError
 */
export function parseSettings({ argv, environment, uid, home, pid }: RawSettings): Command {
  const options = parseOptions(argv);
  if (options.help === true) return { kind: 'help' };
  if (options.version === true) return { kind: 'version' };
  if (options.user === true && options.system === true) throw new UsageError('--user and --system exclude each other');
  const isSystem = options.system === true || (uid === 0 && options.user !== true);
  const stateDirectory =
    given(...optionOrVariable('state-dir', options, environment)) ??
    (isSystem ? SYSTEM_STATE : join(absolute(environment['XDG_STATE_HOME']) ?? stateHome(home), NAME));
  const damaged = given('--salvage', options.salvage);
  const keysFrom = given('--keys-from', options['keys-from']);
  if (damaged !== undefined) return { kind: 'salvage', settings: { stateDirectory, damaged, keysFrom } };
  if (keysFrom !== undefined) throw new UsageError('--keys-from needs --salvage');
  const userRuntime = absolute(environment['XDG_RUNTIME_DIR']);
  const runtimeDirectory =
    given(...optionOrVariable('runtime-dir', options, environment)) ??
    (isSystem ? SYSTEM_RUNTIME : userRuntime === undefined ? join(stateDirectory, 'run') : join(userRuntime, NAME));
  const settings = {
    stateDirectory,
    runtimeDirectory,
    isPublic: isSystem,
    credentialsDirectory: absolute(environment['CREDENTIALS_DIRECTORY']),
    notifySocket: environment['NOTIFY_SOCKET'],
    watchdogMs: watchdogMs(environment, pid),
    validateEveryMs: validateEveryMs(
      ...optionOrVariable('validate-every', options, environment),
      options.system === true,
    ),
  };
  return { kind: 'run', settings };
}

function stateHome(home: string | undefined): string {
  if (home === undefined) {
    throw new UsageError(
      'this user has no home directory, or HOME is not an absolute path; give the state directory with --state-dir',
    );
  }
  return join(home, '.local', 'state');
}

type OptionValues = {
  readonly [Name in keyof typeof DAEMON_OPTIONS]?: (typeof DAEMON_OPTIONS)[Name]['type'] extends 'boolean'
    ? boolean
    : string;
};

function parseOptions(argv: readonly string[]): OptionValues {
  try {
    return parseArgs({ args: [...argv], options: DAEMON_OPTIONS }).values;
  } catch {
    throw new UsageError('an option or argument is unknown, or lacks its value');
  }
}

function renderOptions(): string {
  const rows = Object.entries<DaemonOption>(DAEMON_OPTIONS).map(([name, { value, describe, variable }]) => {
    const option = value === undefined ? `--${name}` : `--${name} ${value}`;
    return [option, variable === undefined ? describe : `${describe} [${variable}]`] as const;
  });
  const width = Math.max(...rows.map(([option]) => option.length));
  return rows.map(([option, describe]) => `  ${option.padEnd(width)}  ${describe}\n`).join('');
}

/** Returns the value of an option, or else of its variable, preceded by the name of the one that it comes from. */
function optionOrVariable(
  option: 'state-dir' | 'runtime-dir' | 'validate-every',
  options: OptionValues,
  environment: RawSettings['environment'],
): [name: string, value: string | undefined] {
  const { variable } = DAEMON_OPTIONS[option];
  const value = options[option];
  return value === undefined ? [variable, environment[variable]] : [`--${option}`, value];
}

function given(name: string, path: string | undefined): string | undefined {
  if (path === '') throw new UsageError(`${name} is empty`);
  try {
    return path === undefined ? undefined : resolve(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).syscall !== 'uv_cwd') throw error;
    throw new UsageError(`${name} is relative to a directory that was removed, or that this user may not enter`);
  }
}

/** Returns the time-out of the watchdog, if it is meant for this process (sd_watchdog_enabled(3)). */
function watchdogMs(environment: RawSettings['environment'], pid: number): number | undefined {
  const forPid = environment['WATCHDOG_PID'];
  const microseconds = Number(environment['WATCHDOG_USEC']);
  if ((forPid !== undefined && forPid !== String(pid)) || !(microseconds > 0)) return undefined;
  return Math.min(microseconds / 1000, TIMER_MS_MAX);
}

function validateEveryMs(name: string, text: string | undefined, isSystem: boolean): number | undefined {
  if (text === undefined) return isSystem ? SYSTEM_INTERVAL_MS : undefined;
  const interval = parseInterval(text);
  if (typeof interval === 'object') throw new UsageError(`${name} ${interval.reason}`);
  return interval === 'off' ? undefined : interval;
}

/** Ignores a path that is not absolute, as the XDG Base Directory Specification says. */
function absolute(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}
