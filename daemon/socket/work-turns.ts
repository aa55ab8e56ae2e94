import { UserQueue } from '../user-queue.ts';

/** How long calls are begun before the event loop goes on. Creates that are begun together are one commit. */
export const TURN_MS = 20;

/** How long those of one user are, where others wait. */
const SLICE_MS = 2;

/**
 * Has connections take turns in beginning calls. What each of hundreds sent beforehand is seconds of work together: begun
 * as it is read, it would all come before whoever asks next, and before systemd hears that the daemon lives.
 */
export class WorkTurns {
  readonly #waiting: UserQueue = new UserQueue();
  /** In this turn; where nobody had to wait, in more than one. */
  #workedMs = 0;
  #isScheduled = false;
  #othersUntil = 0;
  /** Events that the loop has handled, see `performance.nodeTiming.uvMetricsInfo`. */
  #events = 0;

  /** Tells whether calls may be begun now. Who may not waits. */
  get hasTime(): boolean {
    return this.#workedMs < TURN_MS;
  }

  /** How long a piece of work may take that begins now. */
  get sliceMs(): number {
    return this.#waiting.isEmpty ? TURN_MS - this.#workedMs : SLICE_MS;
  }

  /** Says how long a piece of work took. */
  note(ms: number): void {
    this.#workedMs += ms;
  }

  /** Calls back once, in a turn that has time. Users come one after the other, however many connections each of them has. */
  wait(uid: number, work: () => void): void {
    this.#waiting.add(uid, work);
    this.#schedule();
  }

  /** Then others have as long as it took, while they have something to do. */
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

  /** Tells whether nothing came in this turn of the loop, or they had their time. */
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
