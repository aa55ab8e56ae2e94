import { spawn } from 'node:child_process';
import { HANG_MS } from '../support/hang.ts';
import { plainEnvironment } from '../support/process.ts';
import { command, type Requirement } from '../support/requirements.ts';
import { atEnd } from '../support/scope.ts';
import type { Scope } from '../support/scope.ts';

/** Provides a terminal for a test: script(1), part of every Debian. */
export const TERMINAL: Requirement = command('script', 'bsdutils');

/** A program on a pseudo-terminal, whose screen a test reads and for which it types. */
export class TerminalProgram {
  readonly #child;
  readonly #exited: Promise<number | null>;
  #screen = '';
  #isClosed = false;
  #changed = Promise.withResolvers<void>();

  /** @param shellCommand the command line that a shell on the terminal runs */
  constructor(scope: Scope, shellCommand: string, env: Readonly<Record<string, string>> = {}) {
    const args = ['--quiet', '--return', '--flush', '--command', shellCommand, '/dev/null'];
    const environment = { ...plainEnvironment(), TERM: 'xterm', SHELL: '/bin/sh', ...env };
    this.#child = spawn('script', args, { env: environment, stdio: 'pipe' });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#screen += text;
      this.#wake();
    });
    this.#child.stdin.on('error', () => undefined);
    this.#exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject).once('close', (code) => {
        this.#isClosed = true;
        resolve(code);
        this.#wake();
      });
    });
    atEnd(scope, async () => {
      this.#child.kill('SIGKILL');
      // Processes that outlive script(1) would keep these pipes open.
      for (const stream of [this.#child.stdout, this.#child.stderr]) stream.destroy();
      await this.#exited;
    });
  }

  /** Everything written to the screen so far. */
  get screen(): string {
    return this.#screen;
  }

  /** Resolves once the screen contains a text, and returns the match. */
  async shows(text: string | RegExp): Promise<string> {
    const deadline = setTimeout(
      () => this.#changed.reject(new Error(`it shows ${JSON.stringify(this.#screen)}`)),
      HANG_MS,
    );
    try {
      for (;;) {
        const found = typeof text === 'string' ? this.#screen.includes(text) && text : text.exec(this.#screen)?.[0];
        if (found !== false && found !== undefined) return found;
        if (this.#isClosed) throw new Error(`it ended with ${JSON.stringify(this.#screen)}`);
        await this.#changed.promise;
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  type(keys: string): void {
    this.#child.stdin.write(keys);
  }

  /** The exit code once it has ended; for a signal 128 plus its number, as in a shell. */
  exit(): Promise<number | null> {
    return this.#exited;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** Quotes a word for a shell. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
