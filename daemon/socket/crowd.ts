/** So many connections are a crowd. */
const CROWD = 64;

/** V8 frees the buffers of connections that are gone some seconds later. */
export const AFTERWARDS_MS = 20_000;

/**
 * Gives back what a crowd of connections took, some time after half of it has left: among what stays, the C library keeps
 * what was freed, which can be as much again as the whole daemon.
 */
export class Crowd {
  readonly #giveBack: () => void;
  /** Most connections since then. */
  #most = 0;
  #isPlanned = false;

  constructor(giveBack: () => void) {
    this.#giveBack = giveBack;
  }

  /** Hears how many connections there are, after each change. */
  note(count: number): void {
    this.#most = Math.max(this.#most, count);
    if (this.#isPlanned || this.#most < CROWD || count > this.#most / 2) return;
    this.#isPlanned = true;
    setTimeout(() => {
      this.#isPlanned = false;
      this.#most = 0;
      this.#giveBack();
    }, AFTERWARDS_MS).unref();
  }
}
