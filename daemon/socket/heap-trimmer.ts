/** This many connections or more are a crowd. */
const CROWD = 64;

/** How long afterwards memory is given back: V8 frees late what closed connections and calls have used. */
export const AFTERWARDS_MS = 20_000;

/**
 * Returns to the kernel the memory of a crowd of connections, some time after half of it has left, and that of calls
 * that took long: lists and checks of very many credentials. The C library keeps freed memory that lies between
 * allocations that stay, and that can be as much again as the whole daemon.
 */
export class Crowd {
  readonly #giveBack: () => void;
  /** Most connections at a time since memory was last given back. */
  #most = 0;
  #isPlanned = false;

  constructor(giveBack: () => void) {
    this.#giveBack = giveBack;
  }

  /** To be called after each change of the number of connections. */
  note(count: number): void {
    this.#most = Math.max(this.#most, count);
    if (this.#most >= CROWD && count <= this.#most / 2) this.#plan();
  }

  /** To be called after a call that may have used much memory. */
  noteLongCall(): void {
    this.#plan();
  }

  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    setTimeout(() => {
      this.#isPlanned = false;
      this.#most = 0;
      this.#giveBack();
    }, AFTERWARDS_MS).unref();
  }
}
