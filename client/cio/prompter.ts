import { closeSync, openSync, readFileSync } from 'node:fs';
import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { CommandError } from './command-error.ts';
import { STDERR, STDIN, writeAll } from './file-descriptors.ts';
import { LineEditor, type LineEnd } from './line-editor.ts';
import { onTermination } from './on-termination.ts';
import { COLUMNS, isTerminal } from './terminal.ts';
import { printable, widthOf } from './text.ts';

const CTRL_Z = 0x1a;

/** A dialogue of several questions, see {@link Prompter.dialogue}. */
export interface Dialogue {
  /**
   * Asks for one line; an empty line is an answer, too.
   *
   * @throws CommandError `Interrupted` on Ctrl-C, `NoValue` on Ctrl-D or input that is not UTF-8
   */
  readonly ask: (question: string, options: { readonly isHidden: boolean }) => Promise<string>;
  /** Shows a line between the questions. */
  readonly tell: (line: string) => void;
  /**
   * Shows why an answer is refused, and drops what was typed ahead: the rest of a paste was meant for another question.
   */
  readonly refuse: (line: string) => void;
}

/**
 * Asks the user at the terminal. Questions go to standard error, or if that is redirected, to the terminal itself, and
 * so are never part of the output.
 */
export class Prompter {
  /** Text that could not be written to standard error; it is shown before the next question, which may be about it. */
  unwritten = '';
  #editor: LineEditor | undefined;

  /** Whether a user can be asked: standard input is a terminal. */
  get canAsk(): boolean {
    return isTerminal(STDIN);
  }

  /**
   * Asks for one line.
   *
   * @throws CommandError `Interrupted` on Ctrl-C, `NoValue` on an empty line, Ctrl-D or input that is not UTF-8
   */
  ask(question: string, { isHidden }: { readonly isHidden: boolean }): Promise<string> {
    return this.#inRawMode((screen) => this.#askLine(screen, question, isHidden));
  }

  /** Asks for a secret twice, without showing it. */
  askNew(question: string): Promise<string> {
    // The terminal stays in raw mode between the two entries, so that it never echoes what is typed.
    return this.#inRawMode(async (screen) => {
      const secret = await this.#askLine(screen, question, true);
      const again = await this.#askLine(screen, 'Repeat', true);
      if (secret !== again) throw new CommandError('NoValue', 'the two entries differ', 'try again');
      return secret;
    });
  }

  /** Asks a yes/no question. Only `y` or `yes` means yes. */
  confirm(question: string): Promise<boolean> {
    return this.#inRawMode(async (screen) => {
      const end = await this.#readLine(screen, `${question} [y/N] `, false);
      return end.kind === 'line' && /^y(es)?$/i.test(end.text.trim());
    });
  }

  /** Asks several questions, in raw mode throughout, so that the terminal never echoes what is typed. */
  dialogue<Answer>(hold: (dialogue: Dialogue) => Promise<Answer>): Promise<Answer> {
    return this.#inRawMode((screen) =>
      hold({
        ask: async (question, { isHidden }) => textOf(await this.#readLine(screen, `${question}: `, isHidden)),
        tell: (line) => writeAll(screen, `${printable(line)}\n`),
        refuse: (line) => {
          this.#editor?.forget();
          writeAll(screen, `${printable(line)}\n`);
        },
      }),
    );
  }

  async #inRawMode<Answer>(ask: (screen: number) => Promise<Answer>): Promise<Answer> {
    const screen = isTerminal(STDERR) ? STDERR : openTerminal();
    writeAll(screen, this.unwritten);
    this.unwritten = '';
    const restore = enterRawMode();
    try {
      return await ask(screen);
    } finally {
      restore();
      if (screen !== STDERR) closeSync(screen);
    }
  }

  async #askLine(screen: number, question: string, isHidden: boolean): Promise<string> {
    const text = textOf(await this.#readLine(screen, `${question}: `, isHidden));
    if (text === '') throw new CommandError('NoValue', 'nothing was entered');
    return text;
  }

  async #readLine(
    screen: number,
    prompt: string,
    isHidden: boolean,
  ): Promise<LineEnd & { readonly kind: 'line' | 'end' }> {
    writeAll(screen, prompt);
    let shown = prompt;
    const showAgain = (): void => writeAll(screen, shown);
    process.on('SIGCONT', showAgain);
    const end = await this.#readKeys((text) => {
      if (isHidden) return;
      const line = `${prompt}${printable(text)}`;
      writeAll(screen, line.startsWith(shown) ? line.slice(shown.length) : `${eraseSequence(shown)}${line}`);
      shown = line;
    });
    process.off('SIGCONT', showAgain);
    writeAll(screen, '\n');
    if (end.kind === 'interrupt') throw new CommandError('Interrupted', 'interrupted');
    return end;
  }

  #readKeys(show: (text: string) => void): Promise<LineEnd> {
    const editor = (this.#editor ??= new LineEditor(VALUE_BYTES_MAX));
    const early = editor.begin();
    show(early?.kind === 'line' ? early.text : editor.text);
    if (early !== undefined) return Promise.resolve(early);
    const { stdin } = process;
    return new Promise((resolve) => {
      const settle = (end: LineEnd): void => {
        stdin.off('data', onData).off('end', onEnd).off('error', onEnd).pause();
        resolve(end);
      };
      const onData = (keys: Buffer): void => {
        if (keys.includes(CTRL_Z)) process.emit('SIGTSTP', 'SIGTSTP');
        const end = editor.push(keys);
        show(end?.kind === 'line' ? end.text : editor.text);
        if (end !== undefined) settle(end);
      };
      const onEnd = (): void => settle({ kind: 'end' });
      stdin.on('data', onData).on('end', onEnd).on('error', onEnd).resume();
    });
  }
}

/** Returns what erases all rows of a line: one key may remove several columns (Ctrl-U, wide characters). */
function eraseSequence(line: string): string {
  const columns = process.stderr.columns || process.stdout.columns || COLUMNS;
  const rowsAbove = Math.ceil(widthOf(line) / columns) - 1;
  return `\r${rowsAbove > 0 ? `\u001b[${rowsAbove}A` : ''}\u001b[J`;
}

/** @throws CommandError `NoValue` */
function textOf(end: LineEnd & { readonly kind: 'line' | 'end' }): string {
  if (end.kind === 'end') throw new CommandError('NoValue', 'nothing was entered');
  if (end.text.includes('\ufffd')) throw new CommandError('NoValue', 'what was entered is not UTF-8 text');
  return end.text;
}

/** Opens the controlling terminal; returns standard error if there is none. */
function openTerminal(): number {
  try {
    return openSync('/dev/tty', 'w');
  } catch {
    return STDERR;
  }
}

/**
 * Tells whether another job has the terminal (`pgrp` and `tpgid` in proc_pid_stat(5)). A background process that
 * changes the mode of the terminal is stopped (SIGTTOU), and then no signal that it has a listener for can end it.
 */
function isInBackground(): boolean {
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(foreground) > 0 && foreground !== group;
  } catch {
    return false;
  }
}

/**
 * Switches off the terminal's echo and line editing. Returns a function that switches them on again, which also happens
 * if a signal ends the process or it exits.
 */
function enterRawMode(): () => void {
  const setRaw = (isRaw: boolean): void => {
    try {
      process.stdin.setRawMode(isRaw);
    } catch {
      // The terminal has hung up: there is no echo to bring back.
    }
  };
  const leave = (): void => {
    // The job in the foreground has set the terminal as it needs it.
    if (!isInBackground()) setRaw(false);
  };
  // Another job may have changed the terminal's mode meanwhile. Node does not set a mode that it believes to be set
  // already, so raw mode is left first. In the background, either would stop the process, even one that a signal is
  // about to end.
  const enterAgain = (): void => {
    if (isInBackground()) return;
    leave();
    setRaw(true);
  };
  // Stops the process as if the terminal were not in raw mode: the shell gets it back as it was. Without a shell that
  // could continue this job, the kernel does not stop it. For the key Ctrl-Z, which unlike a signal comes without a
  // number, the whole process group is stopped at once: the shell waits for the script that runs this process, and may
  // go on as soon as that script is stopped.
  const stop = (_: NodeJS.Signals, number?: number): void => {
    process.off('SIGTSTP', stop);
    leave();
    process.kill(number === undefined ? 0 : process.pid, 'SIGTSTP');
    process.on('SIGTSTP', stop);
    enterAgain();
  };
  const ending = onTermination(leave);
  process.on('exit', leave).on('SIGCONT', enterAgain).on('SIGTSTP', stop);
  process.stdin.setRawMode(true);
  return () => {
    process.off('exit', leave).off('SIGCONT', enterAgain).off('SIGTSTP', stop);
    leave();
    ending[Symbol.dispose]();
  };
}
