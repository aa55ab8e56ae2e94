/** How long one piece of a long task may keep others waiting. */
const SLICE_MS = 4;

/** Lets long tasks take turns: in each turn of the event loop, one of them has a slice. */
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

/** Cuts a long task into slices, between which others have their turn. */
export class TimeSlice {
  readonly #turns: Turns;
  /** The first slice waits for its turn as well. */
  #end = 0;

  constructor(turns: Turns) {
    this.#turns = turns;
  }

  /** Tells whether others should have their turn; for a piece of work that cannot wait in the middle. */
  get isOver(): boolean {
    return performance.now() >= this.#end;
  }

  /** To be called often; mostly returns at once. */
  async pause(): Promise<void> {
    if (!this.isOver) return;
    await this.#turns.next();
    this.#end = performance.now() + SLICE_MS;
  }
}
