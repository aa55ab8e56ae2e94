import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from './command-error.ts';

/** The environment of a process, as execve(2) takes it. */
export type Environment = Readonly<Record<string, string>>;

/** The folders that execvp(3) searches if `PATH` is not set (glibc's `_CS_PATH`). */
const DEFAULT_PATH = '/bin:/usr/bin';

/** Finds and executes the command. If it cannot, it reports why, and exits with 126 or 127. */
const ENV = '/usr/bin/env';

/** Does the same for a command with = in its name, which `env` would take for a variable. */
const NICE = '/usr/bin/nice';

/**
 * Longest argument or variable that Linux accepts, with its NUL, in bytes (MAX_ARG_STRLEN: 32 pages of 4096 or more).
 */
const STRING_BYTES_MAX = 32 * 4096;

/**
 * Size of all arguments and variables in bytes: what Linux always accepts, and its upper limit (execve(2),
 * `_STK_LIM` / 4 * 3).
 */
const TOTAL_BYTES_MIN = 128 * 1024;
const TOTAL_BYTES_MAX = 6 * 1024 * 1024;

/** Each argument and variable also takes a pointer (execve(2)). */
const POINTER_BYTES = 8;

/** Allowance for what the kernel and `env` add, in bytes. */
const OVERHEAD_BYTES = 8192;

/**
 * Replaces this process by the command, which keeps the process id and the standard streams; signals and exit code are
 * its own. Nothing of `cio` is left in memory.
 *
 * Node aborts, with a core file, if execve(2) fails (nodejs/node#62878). Therefore everything that can make it fail is
 * checked first, and `env` is executed, which executes the command in turn and reports a failure.
 *
 * @param command file and arguments
 * @throws CommandError `CommandNotFound`, `CommandNotExecutable`
 */
export function becomeCommand(command: readonly string[], environment: Environment): never {
  const [file = '', ...arguments_] = command;
  const path = findCommand(file, environment['PATH']);
  assertFits([ENV, '--', ...command], environment);
  // Node ignores these two signals. An ignored signal stays ignored across execve(2); a caught one is reset to its
  // default.
  for (const signal of ['SIGPIPE', 'SIGXFSZ'] as const) process.on(signal, () => undefined);
  const [starter, ...words] = file.includes('=') ? [NICE, 'nice', '-n0'] : [ENV, 'env'];
  if (isExecutable(starter)) execute(starter, [...words, '--', ...command], environment);
  return execute(path, [file, ...arguments_], environment);
}

/**
 * Finds the file of a command in PATH, as a shell does.
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

/** @throws CommandError `CommandNotExecutable` for arguments and variables that execve(2) would refuse with E2BIG */
export function assertFits(arguments_: readonly string[], environment: Environment): void {
  let total = OVERHEAD_BYTES;
  for (const [name, value] of Object.entries(environment)) {
    total += measure(`${name}=${value}`, `the variable ${name}`);
  }
  for (const [index, argument] of arguments_.entries()) total += measure(argument, `argument ${index}`);
  if (total > TOTAL_BYTES_MIN && total > totalBytesMax()) {
    throw new CommandError('CommandNotExecutable', 'the arguments and variables are larger than the system allows');
  }
}

function measure(text: string, what: string): number {
  const bytes = Buffer.byteLength(text) + 1;
  if (bytes > STRING_BYTES_MAX) {
    const hint = `the limit is ${STRING_BYTES_MAX - 1} bytes; cio credential get prints a value of any size`;
    throw new CommandError('CommandNotExecutable', `${what} is too large for a command`, hint);
  }
  return bytes + POINTER_BYTES;
}

/** The size that this process may pass to execve(2): a quarter of its stack limit. */
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
