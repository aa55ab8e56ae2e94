import { closeSync, openSync, readFileSync } from 'node:fs';
import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { CommandError } from './command-error.ts';
import { STDERR, STDIN, writeAll } from './file-descriptors.ts';
import { LineEditor, type LineEnd } from './line-editor.ts';
import { onEnding } from './on-ending.ts';
import { COLUMNS, isTerminal } from './terminal.ts';
import { printable, widthOf } from './text.ts';

const CTRL_Z = 0x1a;

/** A talk of several questions, see {@link Prompter.talk}. */
export interface Talk {
  /**
   * Asks for one line; an empty one is an answer, too.
   *
   * @throws CommandError `Interrupted` on Ctrl-C, `NoValue` on Ctrl-D or what is not UTF-8
   */
  readonly ask: (question: string, options: { readonly isHidden: boolean }) => Promise<string>;
  /** Shows a line between the questions. */
  readonly tell: (line: string) => void;
  /** Shows why an answer does not do. What was typed after it, as the rest of a paste, was meant for another question. */
  readonly refuse: (line: string) => void;
}

/**
 * Asks questions of whoever sits at the terminal. Questions go to standard error, or past a redirection of it to the
 * terminal itself, so that they are never part of the output.
 */
export class Prompter {
  /** What could not be written to standard error: it may be what the next question is about. */
  untold = '';
  #editor: LineEditor | undefined;

  /** Whether there is somebody to ask: standard input is a terminal. */
  get canAsk(): boolean {
    return isTerminal(STDIN);
  }

  /**
   * Asks for one line.
   *
   * @throws CommandError `Interrupted` on Ctrl-C, `NoValue` on an empty line, Ctrl-D or what is not UTF-8
   */
  ask(question: string, { isHidden }: { readonly isHidden: boolean }): Promise<string> {
    return this.#inRawMode((screen) => this.#askLine(screen, question, isHidden));
  }

  /** Asks for a secret twice, without showing it. */
  askNew(question: string): Promise<string> {
    // Without a moment between the two in which the terminal would show what is typed.
    return this.#inRawMode(async (screen) => {
      const secret = await this.#askLine(screen, question, true);
      const again = await this.#askLine(screen, 'Repeat', true);
      if (secret !== again) throw new CommandError('NoValue', 'the two entries differ', 'try again');
      return secret;
    });
  }

  /** Asks a question that only `y` or `yes` answers with yes. */
  confirm(question: string): Promise<boolean> {
    return this.#inRawMode(async (screen) => {
      const end = await this.#readLine(screen, `${question} [y/N] `, false);
      return end.kind === 'line' && /^y(es)?$/i.test(end.text.trim());
    });
  }

  /** Asks several questions, without a moment between them in which the terminal would show what is typed. */
  talk<Answer>(hold: (talk: Talk) => Promise<Answer>): Promise<Answer> {
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
    writeAll(screen, this.untold);
    this.untold = '';
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
      writeAll(screen, line.startsWith(shown) ? line.slice(shown.length) : `${takenBack(shown)}${line}`);
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

/** What takes a line back, all its rows: a character can be wider than one column, and Ctrl-U takes many. */
function takenBack(line: string): string {
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

/** The terminal itself; standard error where there is none to be had. */
function openTerminal(): number {
  try {
    return openSync('/dev/tty', 'w');
  } catch {
    return STDERR;
  }
}

/**
 * Whether another job has the terminal (`pgrp` and `tpgid` in proc_pid_stat(5)): whoever changes its mode then is stopped,
 * and could not be ended by a signal that it listens to.
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

/** Switches echo and line editing off, and gives back what switches them on again, whatever ends the process. */
function enterRawMode(): () => void {
  const setRaw = (isRaw: boolean): void => {
    try {
      process.stdin.setRawMode(isRaw);
    } catch {
      // The terminal has hung up: there is no echo to bring back.
    }
  };
  const leave = (): void => {
    // Who has it in the foreground has set it as he wants it.
    if (!isInBackground()) setRaw(false);
  };
  // Whoever had the terminal meanwhile may have left it otherwise; what Node takes for the mode already, it does not set. In the
  // background it would stop the process, be it that this signal has overtaken the one that is to end it.
  const enterAgain = (): void => {
    if (isInBackground()) return;
    leave();
    setRaw(true);
  };
  // As a stop does where a terminal is not in raw mode: the shell finds it as it was. Without a shell that could continue this
  // job, the kernel stops nothing. Ctrl-Z, which has no number as a signal has it, stops all of the job at once: the shell hears
  // of a script that runs this, and may go on as soon as that is stopped.
  const stop = (_: NodeJS.Signals, number?: number): void => {
    process.off('SIGTSTP', stop);
    leave();
    process.kill(number === undefined ? 0 : process.pid, 'SIGTSTP');
    process.on('SIGTSTP', stop);
    enterAgain();
  };
  const ending = onEnding(leave);
  process.on('exit', leave).on('SIGCONT', enterAgain).on('SIGTSTP', stop);
  process.stdin.setRawMode(true);
  return () => {
    process.off('exit', leave).off('SIGCONT', enterAgain).off('SIGTSTP', stop);
    leave();
    ending[Symbol.dispose]();
  };
}
