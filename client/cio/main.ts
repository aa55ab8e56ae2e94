import { constants } from 'node:os';
import { EXIT } from '../../src/errors.ts';
import { parseCommandLine, usageOf, wantsJson, type Request } from './arguments.ts';
import type { Command } from './command.ts';
import { COMMANDS } from './commands.ts';
import { COMPLETE } from './commands/complete.ts';
import { DOCKER_CREDENTIAL } from './commands/docker-credential.ts';
import { GIT_CREDENTIAL } from './commands/git-credential.ts';
import { RELOAD_UNITS } from './commands/reload-units.ts';
import { tryWrite, BrokenPipeError, STDERR, STDOUT, writeAll } from './file-descriptors.ts';
import { documentOf, explain } from './messages.ts';
import { formatFailure, Session } from './session.ts';
import { COLUMNS, isTerminal } from './terminal.ts';
import { printableJson } from './text.ts';
import { packageVersion } from './version.ts';

const ALL_COMMANDS: readonly Command[] = [...COMMANDS, COMPLETE, DOCKER_CREDENTIAL, GIT_CREDENTIAL, RELOAD_UNITS];

/** The process edge of `cio`: arguments in, exit code out. No other part ends the process. */
async function main(argv: readonly string[]): Promise<number> {
  let isJson = wantsJson(argv);
  let operation: string | undefined;
  // A defect in a callback. By itself Node would print the source line of the defect, which in the bundle is all of it.
  process.once('uncaughtException', (error) => process.exit(fail(error, operation, isJson)));
  process.on('SIGUSR1', onUserSignal);
  try {
    const request = parseCommandLine(argv, ALL_COMMANDS);
    if (request.kind === 'help') return await help(request);
    if (request.kind === 'version') {
      writeAll(STDOUT, `${packageVersion()}\n`);
      return EXIT.done;
    }
    ({ isJson } = request.globals);
    if (request.kind === 'overview') {
      operation = 'Show overview';
      const { showOverview } = await import('./overview/show-overview.ts');
      return await showOverview(new Session(request.globals));
    }
    ({ operation } = request.command);
    return await request.command.run(request.input, new Session(request.globals));
  } catch (error) {
    if (error instanceof BrokenPipeError) return EXIT.done;
    return fail(error, operation, isJson);
  }
}

/**
 * Ends the process on SIGUSR1. Without a listener, Node would open a debugger port to every user of this host. Node's
 * `--disable-sigusr1` blocks the signal, and it would stay blocked in the command that this process becomes. While a
 * command runs beside this process, another listener passes the signal on to it.
 */
function onUserSignal(): void {
  if (process.listenerCount('SIGUSR1') === 1) process.exit(128 + constants.signals.SIGUSR1);
}

function fail(error: unknown, operation: string | undefined, isJson: boolean): number {
  const explanation = explain(error);
  const { exit, message, hint } = explanation;
  const text = formatFailure(operation, message, hint);
  const json = `${printableJson({ error: documentOf(explanation) })}\n`;
  // If standard output cannot be written, standard error may. If neither can, the exit code remains.
  if (!isJson || !tryWrite(STDOUT, json)) tryWrite(STDERR, text);
  return exit;
}

/** Prints help: to standard output if it was asked for, else to standard error, for an incomplete command line. */
async function help({ command, words, isAsked }: Request & { readonly kind: 'help' }): Promise<number> {
  leaveRemovedDirectory();
  const { renderHelp } = await import('./help.ts');
  const descriptor = isAsked ? STDOUT : STDERR;
  const stream = isAsked ? process.stdout : process.stderr;
  const width = (isTerminal(descriptor) && stream.columns) || COLUMNS;
  const usage = command && usageOf(command);
  const text = await renderHelp({ command, words: [...words], commands: COMMANDS, usage, width });
  (isAsked ? writeAll : tryWrite)(descriptor, text);
  return isAsked ? EXIT.done : EXIT.usage;
}

/** Leaves a working directory that was removed: yargs reads it when it is loaded, and would throw. */
function leaveRemovedDirectory(): void {
  try {
    process.cwd();
  } catch {
    process.chdir('/');
  }
}

// Exits explicitly: an open pipe or a timer would keep the process alive, and Node's own clean-up costs milliseconds.
void main(process.argv.slice(2)).then((code) => process.exit(code));
