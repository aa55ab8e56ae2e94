import { UserQueue } from './user-queue.ts';

/** How long one piece of a long task may keep others waiting. */
const SLICE_MS = 4;

/** Longest time that others have between two slices, however long the last one took: this process may have stood still. */
const OTHERS_MS_MAX = 100;

/**
 * Lets long tasks take turns: in a turn of the event loop, one of them has a slice, of one user after the other. Then others
 * have as long as it took, while they have something to do: what one of them asks can take several turns of the loop, and
 * with a slice in each, he would wait for as many slices.
 */
export class Turns {
  readonly #waiting: UserQueue = new UserQueue();
  #isScheduled = false;
  #sliceBegan: number | undefined;
  #othersUntil = 0;
  /** Events that the loop has handled, see `performance.nodeTiming.uvMetricsInfo`. */
  #events = 0;

  /**
   * Returns when it is the caller's turn.
   *
   * @param uid of whose task it is; undefined for the daemon itself
   */
  next(uid: number | undefined): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.add(uid, resolve);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const now = performance.now();
      if (this.#areOthersServed(now)) {
        this.#sliceBegan = now;
        this.#waiting.take()?.();
      }
      if (!this.#waiting.isEmpty) this.#schedule();
    });
  }

  /** Tells whether nothing came in this turn of the loop, or they had their time. */
  #areOthersServed(now: number): boolean {
    if (this.#sliceBegan !== undefined) {
      this.#othersUntil = now + Math.min(now - this.#sliceBegan, OTHERS_MS_MAX);
      this.#sliceBegan = undefined;
    }
    const { events } = performance.nodeTiming.uvMetricsInfo;
    const isQuiet = events === this.#events;
    this.#events = events;
    return isQuiet || now >= this.#othersUntil;
  }
}

/** Cuts a long task into slices, between which others have their turn. */
export class TimeSlice {
  readonly #turns: Turns;
  readonly #uid: number | undefined;
  /** The first slice waits for its turn as well. */
  #end = 0;

  /** @param uid of whose task it is; undefined for the daemon itself */
  constructor(turns: Turns, uid: number | undefined) {
    this.#turns = turns;
    this.#uid = uid;
  }

  /** Tells whether others should have their turn; for a piece of work that cannot wait in the middle. */
  get isOver(): boolean {
    return performance.now() >= this.#end;
  }

  /** To be called often; mostly returns at once. */
  async pause(): Promise<void> {
    if (!this.isOver) return;
    await this.#turns.next(this.#uid);
    this.#end = performance.now() + SLICE_MS;
  }
}
