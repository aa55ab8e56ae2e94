import { UserQueue } from '../user-queue.ts';

/** For how long calls are begun before the event loop goes on. Creates that begin together are one commit. */
export const TURN_MS = 20;

/** For how long the calls of one user are begun at a time, if others wait. */
const SLICE_MS = 2;

/**
 * Makes connections take turns in beginning calls. The calls that hundreds of connections have sent in advance are
 * seconds of work together. If they began as they are read, all of it would run before the next caller is served, and
 * before systemd gets a watchdog ping.
 */
export class WorkTurns {
  readonly #waiting: UserQueue = new UserQueue();
  /** Work done in this turn of the event loop; in several turns if nobody had to wait. */
  #workedMs = 0;
  #isScheduled = false;
  #othersUntil = 0;
  /** Events that the loop has handled, see `performance.nodeTiming.uvMetricsInfo`. */
  #events = 0;

  /** Tells whether calls may be begun now; if not, the connection must {@link wait}. */
  get hasTime(): boolean {
    return this.#workedMs < TURN_MS;
  }

  /** How long work that begins now may take. */
  get sliceMs(): number {
    return this.#waiting.isEmpty ? TURN_MS - this.#workedMs : SLICE_MS;
  }

  /** Records how long a piece of work took. */
  note(ms: number): void {
    this.#workedMs += ms;
  }

  /** Calls `work` once, in a turn that has time for it. Users take turns, however many connections each of them has. */
  wait(uid: number, work: () => void): void {
    this.#waiting.add(uid, work);
    this.#schedule();
  }

  /**
   * Runs what waits in a later turn of the event loop. Other events then get as much time as it took, while there are
   * any.
   */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#areOthersServed()) {
        this.#workedMs = 0;
        this.#begin();
        this.#othersUntil = performance.now() + this.#workedMs;
      }
      if (!this.#waiting.isEmpty) this.#schedule();
    });
  }

  /** Tells whether no event came in this turn of the loop, or other events have had their time. */
  #areOthersServed(): boolean {
    const { events } = performance.nodeTiming.uvMetricsInfo;
    const isQuiet = events === this.#events;
    this.#events = events;
    return isQuiet || performance.now() >= this.#othersUntil;
  }

  #begin(): void {
    while (this.hasTime && !this.#waiting.isEmpty) this.#waiting.take()?.();
  }
}
