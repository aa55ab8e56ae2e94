/** After a peak of this many connections or more, memory is given back. */
const PEAK_CONNECTIONS_MIN = 64;

/** How long afterwards memory is given back: V8 frees late what closed connections and calls have used. */
export const TRIM_DELAY_MS = 20_000;

/**
 * Returns to the kernel the memory of a peak of connections, some time after half of them have closed, and that of
 * calls that took long: lists and checks of very many credentials. The C library keeps freed memory that lies between
 * allocations that stay, and that can be as much again as the whole daemon.
 */
export class HeapTrimmer {
  readonly #trim: () => void;
  /** Most connections at a time since memory was last given back. */
  #peak = 0;
  #isScheduled = false;

  constructor(trim: () => void) {
    this.#trim = trim;
  }

  /** To be called after each change of the number of connections. */
  noteConnections(count: number): void {
    this.#peak = Math.max(this.#peak, count);
    if (this.#peak >= PEAK_CONNECTIONS_MIN && count <= this.#peak / 2) this.#schedule();
  }

  /** To be called after a call that may have used much memory. */
  noteLongCall(): void {
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setTimeout(() => {
      this.#isScheduled = false;
      this.#peak = 0;
      this.#trim();
    }, TRIM_DELAY_MS).unref();
  }
}
