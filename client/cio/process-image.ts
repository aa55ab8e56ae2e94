import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from './command-error.ts';

/** Variables of a process, as execve(2) takes them. */
export type Environment = Readonly<Record<string, string>>;

/** What execvp(3) searches where there is no `PATH` (glibc's `_CS_PATH`). */
const DEFAULT_PATH = '/bin:/usr/bin';

/** Finds and starts the real command. It says itself what cannot be started, and why, by exit codes 126 and 127. */
const ENV = '/usr/bin/env';

/** Does the same, for a command with = in it: to `env` that would be a variable. */
const NICE = '/usr/bin/nice';

/** Longest argument or variable that Linux takes, with its NUL, in bytes (MAX_ARG_STRLEN: 32 pages, the smallest have 4096). */
const STRING_BYTES_MAX = 32 * 4096;

/** All arguments and variables: what every Linux takes, and what none exceeds, in bytes (execve(2), `_STK_LIM` / 4 * 3). */
const TOTAL_BYTES_MIN = 128 * 1024;
const TOTAL_BYTES_MAX = 6 * 1024 * 1024;

/** Each argument and variable has a pointer besides (execve(2)). */
const POINTER_BYTES = 8;

/** Room for what the kernel and `env` add. */
const SLACK_BYTES = 8192;

/**
 * Makes this process the command: same process id, same standard streams, the signals and the exit code its own. Nothing
 * of `cio` is left in memory.
 *
 * Node aborts, with a core file, where execve(2) fails (nodejs/node#62878). So everything that can make it fail is looked
 * at before, and what is executed is `env`, which executes the command in turn and reports what it cannot.
 *
 * @param command file and arguments
 * @throws CommandError `CommandNotFound`, `CommandNotExecutable`
 */
export function becomeCommand(command: readonly string[], environment: Environment): never {
  const [file = '', ...arguments_] = command;
  const path = findCommand(file, environment['PATH']);
  assertFits([ENV, '--', ...command], environment);
  // Node ignores these two, and what is ignored stays so in the command; what is caught becomes the default again.
  for (const signal of ['SIGPIPE', 'SIGXFSZ'] as const) process.on(signal, () => undefined);
  const [starter, ...words] = file.includes('=') ? [NICE, 'nice', '-n0'] : [ENV, 'env'];
  if (isExecutable(starter)) execute(starter, [...words, '--', ...command], environment);
  return execute(path, [file, ...arguments_], environment);
}

/**
 * Finds the file of a command as a shell does.
 *
 * @throws CommandError `CommandNotFound`, `CommandNotExecutable`
 */
export function findCommand(file: string, searchPath: string = DEFAULT_PATH): string {
  const candidates = file.includes('/') ? [file] : searchPath.split(':').map((folder) => join(folder || '.', file));
  const found = file === '' ? undefined : candidates.find(isExecutable);
  if (found !== undefined) return found;
  if (file !== '' && candidates.some((path) => existsSync(path))) {
    throw new CommandError('CommandNotExecutable', 'the command cannot be executed', 'see its mode with ls -l');
  }
  throw new CommandError('CommandNotFound', 'the command was not found', 'is it installed, and in PATH?');
}

/** @throws CommandError `CommandNotExecutable` for what execve(2) would refuse with E2BIG */
export function assertFits(arguments_: readonly string[], environment: Environment): void {
  let total = SLACK_BYTES;
  for (const [name, value] of Object.entries(environment)) {
    total += measure(`${name}=${value}`, `the variable ${name}`);
  }
  for (const [index, argument] of arguments_.entries()) total += measure(argument, `argument ${index}`);
  if (total > TOTAL_BYTES_MIN && total > totalBytesMax()) {
    throw new CommandError('CommandNotExecutable', 'the arguments and variables are larger than the system takes');
  }
}

function measure(text: string, what: string): number {
  const bytes = Buffer.byteLength(text) + 1;
  if (bytes > STRING_BYTES_MAX) {
    const hint = `the system takes ${STRING_BYTES_MAX - 1} bytes; cio credential get gives a value of any size`;
    throw new CommandError('CommandNotExecutable', `${what} is too large for a command`, hint);
  }
  return bytes + POINTER_BYTES;
}

/** A quarter of the stack that this process may have (execve(2)). */
function totalBytesMax(): number {
  const limit = /^Max stack size +([0-9]+|unlimited) /m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  const quarter = limit === undefined ? 0 : limit === 'unlimited' ? Infinity : Number(limit) / 4;
  return Math.max(TOTAL_BYTES_MIN, Math.min(TOTAL_BYTES_MAX, quarter));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function execute(path: string, arguments_: readonly string[], environment: Environment): never {
  if (process.execve === undefined) throw new TypeError('this Node has no process.execve');
  return process.execve(path, arguments_, environment);
}
