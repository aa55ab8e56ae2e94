import { isWritten, STDERR, writeAll } from './file-descriptors.ts';
import { onEnding } from './on-ending.ts';
import { COLUMNS, isTerminal } from './terminal.ts';
import { printable, truncate } from './text.ts';

/** What is over sooner needs no line. */
const DELAY_MS = 300;

const FRAME_MS = 120;

/** From when on it is said how long it has taken so far. */
const ELAPSED_FROM_MS = 3000;

/** Nothing that the console of a host without fonts does not have. */
const FRAMES = ['|', '/', '-', '\\'] as const;

const CLEAR_LINE = '\r\u001b[K';

/** A line on standard error that says what is being done, while it is done. */
export interface Progress extends Disposable {
  /** Says what is done now. */
  say(what: string): void;
  /** Takes the line away, for something else to be written there; it comes back by itself, below that. */
  clear(): void;
}

/** Where nobody would see it. */
export const NO_PROGRESS: Progress = {
  say: () => undefined,
  clear: () => undefined,
  [Symbol.dispose]: () => undefined,
};

/**
 * Begins a line that is written anew every moment, and is gone without a trace once it is disposed of, or a signal ends
 * the process. It is one of no effect where standard error is no terminal that can take a line back.
 *
 * @param what as in `Sealing every record anew`
 */
export function startProgress(what: string): Progress {
  return process.env['TERM'] !== 'dumb' && isTerminal(STDERR) ? new ProgressLine(what) : NO_PROGRESS;
}

class ProgressLine implements Progress {
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  /** The line would be left behind. */
  readonly #ending: Disposable = onEnding(() => this[Symbol.dispose]());
  #what: string;
  #frame = 0;
  #isShown = false;

  constructor(what: string) {
    this.#what = what;
    this.#timer = setInterval(() => this.#tick(), FRAME_MS).unref();
  }

  say(what: string): void {
    this.#what = what;
  }

  clear(): void {
    if (!this.#isShown) return;
    this.#isShown = false;
    isWritten(STDERR, CLEAR_LINE);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#ending[Symbol.dispose]();
    this.clear();
  }

  #tick(): void {
    const elapsedMs = performance.now() - this.#startedMs;
    if (elapsedMs < DELAY_MS) return;
    try {
      this.#draw(elapsedMs);
    } catch {
      // The terminal has hung up: nobody is left to be shown anything, and what is being done goes on.
      clearInterval(this.#timer);
      this.#isShown = false;
    }
  }

  #draw(elapsedMs: number): void {
    const elapsed = elapsedMs < ELAPSED_FROM_MS ? '' : ` (${Math.floor(elapsedMs / 1000)} s)`;
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const head = `${FRAMES[this.#frame]} `;
    // One column stays free: a terminal that writes into its last one may begin a new line.
    const room = (process.stderr.columns || COLUMNS) - head.length - elapsed.length - 1;
    writeAll(STDERR, `${CLEAR_LINE}${head}${truncate(printable(this.#what), Math.max(1, room))}${elapsed}`);
    this.#isShown = true;
  }
}
