import { UserQueue } from './user-queue.ts';

/** How long one piece of a long task may keep others waiting. */
const SLICE_MS = 4;

/**
 * Longest time for others between two slices, however long the last one took: the process may have been stopped in it.
 */
const OTHERS_MS_MAX = 100;

/**
 * Makes long tasks take turns. In one turn of the event loop, one task runs for a slice; users take turns. Other work
 * then gets as much time as the slice took, while there is any: a call can take several turns of the loop, and if a
 * slice ran in each of them, its caller would wait for as many slices.
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
   * @param uid the user whose task it is; undefined for the daemon itself
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

  /** Tells whether no event came in this turn of the loop, or other work has had its time. */
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

  /** @param uid the user whose task it is; undefined for the daemon itself */
  constructor(turns: Turns, uid: number | undefined) {
    this.#turns = turns;
    this.#uid = uid;
  }

  /** Tells whether the slice is used up; for work that cannot pause in the middle. */
  get isOver(): boolean {
    return performance.now() >= this.#end;
  }

  /** Waits for the next slice if this one is used up. To be called often; mostly returns at once. */
  async pause(): Promise<void> {
    if (!this.isOver) return;
    await this.#turns.next(this.#uid);
    this.#end = performance.now() + SLICE_MS;
  }
}
