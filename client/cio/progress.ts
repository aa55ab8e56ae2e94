import { tryWrite, STDERR, writeAll } from './file-descriptors.ts';
import { onTermination } from './on-termination.ts';
import { COLUMNS, isTerminal } from './terminal.ts';
import { printable, truncate } from './text.ts';

/** Work that is done sooner shows no line. */
const DELAY_MS = 300;

const FRAME_MS = 120;

/** Work that takes longer shows the elapsed time. */
const ELAPSED_FROM_MS = 3000;

/** Frames of the spinner, in ASCII for consoles without other fonts. */
const FRAMES = ['|', '/', '-', '\\'] as const;

const CLEAR_LINE = '\r\u001b[K';

/** A line on standard error that shows the work in progress. */
export interface Progress extends Disposable {
  /** Changes the text of the line. */
  say(what: string): void;
  /** Removes the line so that other output can be written in its place; it reappears below that output by itself. */
  clear(): void;
}

/** A progress that shows nothing, for when nobody would see it. */
export const NO_PROGRESS: Progress = {
  say: () => undefined,
  clear: () => undefined,
  [Symbol.dispose]: () => undefined,
};

/**
 * Starts a line that is redrawn continually, and erased when it is disposed of or a signal ends the process. It has no
 * effect if standard error is not a terminal that can erase a line.
 *
 * @param what as in `Sealing every record anew`
 */
export function startProgress(what: string): Progress {
  return process.env['TERM'] !== 'dumb' && isTerminal(STDERR) ? new ProgressLine(what) : NO_PROGRESS;
}

class ProgressLine implements Progress {
  readonly #startedMs = performance.now();
  readonly #timer: NodeJS.Timeout;
  /** Erases the line if a signal ends the process. */
  readonly #ending: Disposable = onTermination(() => this[Symbol.dispose]());
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
    tryWrite(STDERR, CLEAR_LINE);
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
      // The terminal has hung up. The work goes on without a line.
      clearInterval(this.#timer);
      this.#isShown = false;
    }
  }

  #draw(elapsedMs: number): void {
    const elapsed = elapsedMs < ELAPSED_FROM_MS ? '' : ` (${Math.floor(elapsedMs / 1000)} s)`;
    this.#frame = (this.#frame + 1) % FRAMES.length;
    const head = `${FRAMES[this.#frame]} `;
    // The last column stays free: a terminal may begin a new line after writing to it.
    const room = (process.stderr.columns || COLUMNS) - head.length - elapsed.length - 1;
    writeAll(STDERR, `${CLEAR_LINE}${head}${truncate(printable(this.#what), Math.max(1, room))}${elapsed}`);
    this.#isShown = true;
  }
}
