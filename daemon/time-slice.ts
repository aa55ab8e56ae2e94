/** How long one piece of a long work may keep others waiting. */
const SLICE_MS = 4;

/** Lets long works go on one at a time: in each turn of the event loop, one of them has a slice. */
export class Turns {
  readonly #waiting: (() => void)[] = [];

  /** Returns when it is the caller's turn. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) this.#schedule();
    });
  }

  #schedule(): void {
    setImmediate(() => {
      this.#waiting.shift()?.();
      if (this.#waiting.length > 0) this.#schedule();
    });
  }
}

/** Cuts a long work into slices, between which others have their turn. */
export class TimeSlice {
  readonly #turns: Turns;
  /** The first slice waits for its turn as well. */
  #end = 0;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /** To be called often; mostly returns at once. */
  async pause(): Promise<void> {
    if (performance.now() < this.#end) return;
    await this.#turns.next();
    this.#end = performance.now() + SLICE_MS;
  }
}
