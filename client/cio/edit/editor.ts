import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, realpathSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { VALUE_BYTES_MAX } from '../../../src/limits.ts';
import { CommandError, usageError } from '../command-error.ts';
import { readBounded, STDIN, STDOUT } from '../file-descriptors.ts';
import { findCommand } from '../process-image.ts';
import { decodeAndWipe } from '../decode-text.ts';
import { isTerminal } from '../terminal.ts';
import type { MemoryFolder } from './memory-folder.ts';

/** The editors to try if the user names none: Debian's alternative, then those that most systems have. */
const EDITORS = ['editor', 'nano', 'vi'];

/** Keeps Vim from writing the text to other files: swap and undo files, backups, viminfo. */
const VIM_ARGUMENTS = ['-n', '-i', 'NONE', '-c', 'set nobackup nowritebackup noundofile'];

/** Editors that show the file on a terminal. Without one, they would write it to standard output: a log, a pipe. */
const TERMINAL_EDITOR = /^(?:(?:sensible-)?editor|r?nano|nano-tiny|pico|n?vim?|vim\..*|view|joe|jed|mg|ne|micro|hx)$/;

/** Options that run Vim without a screen, for scripts. */
const VIM_BATCH = /^-[A-Za-z]*[eE]/;

/** Size limit of an edited file, in bytes: one value of full size, and room for the rest of a set. */
const FILE_BYTES_MAX: number = 2 * VALUE_BYTES_MAX;

/**
 * Lets the user edit a text, and returns the edited text.
 *
 * @param name name of the file, from which editors tell its format
 * @throws CommandError `ProgramFailed` if the editor fails, `CommandNotFound`, `InvalidInput`; `Usage` for an editor that
 *   needs a terminal if there is none
 */
export async function editText(folder: MemoryFolder, name: string, text: string): Promise<string> {
  const [command = '', ...words] = editorOf(process.env);
  const path = findEditor(command);
  const file = join(folder.path, name);
  const program = basename(realpathSync(path));
  const isBatch = basename(path) === 'ex' || words.some((word) => VIM_BATCH.test(word));
  if ([basename(path), program].some((each) => TERMINAL_EDITOR.test(each)) && !isBatch) assertTerminal();
  write(file, text);
  const isVim = /^(?:n?vim|vim\..*)$/.test(program);
  await run(path, [...words, ...(isVim ? VIM_ARGUMENTS : []), file]);
  return read(file);
}

/**
 * Returns the command line of the user's editor, as words.
 *
 * @throws CommandError `CommandNotFound`
 */
export function editorOf(environment: NodeJS.ProcessEnv): string[] {
  const wish = environment['VISUAL'] || environment['EDITOR'];
  const words = wish ? splitWords(wish) : [];
  if (words.length > 0) return words;
  for (const editor of EDITORS) {
    try {
      return [findCommand(editor, environment['PATH'])];
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
    }
  }
  throw new CommandError('CommandNotFound', 'there is no editor', 'name one in the variable EDITOR');
}

/** Splits a command line into words, with a shell's quotes and backslashes, but none of its expansions. */
export function splitWords(text: string): string[] {
  const words = text.match(/(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+/gs) ?? [];
  return words.map((word) =>
    word.replaceAll(
      /'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/gs,
      (_, single?: string, double?: string, escaped?: string) => {
        return single ?? double?.replaceAll(/\\(["\\$`])/g, '$1') ?? escaped ?? '';
      },
    ),
  );
}

function findEditor(command: string): string {
  try {
    return findCommand(command, process.env['PATH']);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new CommandError(error.code, `the editor: ${error.message}`, 'set VISUAL or EDITOR to another one');
  }
}

function assertTerminal(): void {
  if (isTerminal(STDIN) && isTerminal(STDOUT)) return;
  throw usageError(
    'there is no terminal for the editor, which would show secrets wherever its output goes',
    'VISUAL or EDITOR may name one that needs none; cio credential create NAME - --replace takes a value from a pipe',
  );
}

function run(path: string, words: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (how: string): void =>
      reject(
        new CommandError(
          'ProgramFailed',
          `the editor ${how}; nothing was changed`,
          'set VISUAL or EDITOR to another one',
        ),
      );
    const child = spawn(path, words, { stdio: 'inherit' });
    child.once('error', (error: NodeJS.ErrnoException) =>
      failed(`could not be started: ${error.code ?? 'unknown error'}`),
    );
    child.once('exit', (code, signal) => {
      if (code === 0) resolve();
      else failed(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`);
    });
  });
}

function write(file: string, text: string): void {
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NOFOLLOW;
  const descriptor = openSync(file, flags, 0o600);
  const bytes = Buffer.from(text);
  try {
    for (let rest = bytes; rest.length > 0;) rest = rest.subarray(writeSync(descriptor, rest));
  } finally {
    bytes.fill(0);
    closeSync(descriptor);
  }
}

function read(file: string): string {
  let descriptor: number;
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    throw new CommandError('ProgramFailed', 'the editor has removed the file; nothing was changed');
  }
  try {
    const bytes = readBounded(descriptor, FILE_BYTES_MAX, 'the edited file');
    try {
      if (bytes.length > FILE_BYTES_MAX)
        throw new CommandError('InvalidInput', 'the edited file is too large; nothing was changed');
      const text = decodeAndWipe(bytes);
      if (text === undefined)
        throw new CommandError('InvalidInput', 'the edited file is not UTF-8 text; nothing was changed');
      return text;
    } finally {
      bytes.fill(0);
    }
  } finally {
    closeSync(descriptor);
  }
}
