import { QuietTurns } from '../time-slice.ts';
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
export class CallScheduler {
  readonly #waiting: UserQueue = new UserQueue();
  /** Work done in this turn of the event loop; in several turns if nobody had to wait. */
  #workedMs = 0;
  /** When the microtasks began whose time is being counted; undefined if there are none. See {@link follow}. */
  #followedSince: number | undefined;
  #isScheduled = false;
  /** The rest of a turn begins after these microtasks. */
  #isTurnPaused = false;
  #othersUntil = 0;
  readonly #quietTurns: QuietTurns = new QuietTurns();

  /** Tells whether calls may be begun now; if not, the connection must {@link wait}. */
  get hasTime(): boolean {
    return this.#workedMs < TURN_MS && this.sliceMs > 0;
  }

  /** How long work that begins now may take. */
  get sliceMs(): number {
    const ms = this.#waiting.isEmpty ? TURN_MS - this.#workedMs : SLICE_MS;
    return this.#followedSince === undefined ? ms : ms - (performance.now() - this.#followedSince);
  }

  /** Records how long a piece of work took. */
  note(ms: number): void {
    if (this.#followedSince === undefined) this.#workedMs += ms;
  }

  /**
   * Counts the time until the event loop goes on, for work that continues in microtasks. An answer may be made in them
   * alone, and the next call then begins in one of them as well.
   */
  follow(): void {
    if (this.#followedSince !== undefined) return;
    this.#followedSince = performance.now();
    // Node runs what `nextTick` queues in a microtask when no microtask is left.
    queueMicrotask(() => process.nextTick(() => this.#endFollowing()));
  }

  #endFollowing(): void {
    this.#workedMs += performance.now() - (this.#followedSince ?? 0);
    this.#followedSince = undefined;
    if (!this.#isTurnPaused) return;
    this.#isTurnPaused = false;
    this.#begin();
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
      } else {
        this.#schedule();
      }
    });
  }

  /** Tells whether no event came in this turn of the loop, or other events have had their time. */
  #areOthersServed(): boolean {
    return this.#quietTurns.isQuiet() || performance.now() >= this.#othersUntil;
  }

  /** Begins what there is time for. The microtasks of one work run before the next one begins. */
  #begin(): void {
    while (this.hasTime && !this.#waiting.isEmpty) {
      this.#waiting.take()?.();
      this.#isTurnPaused = this.#followedSince !== undefined;
      if (this.#isTurnPaused) return;
    }
    this.#othersUntil = performance.now() + this.#workedMs;
    if (!this.#waiting.isEmpty) this.#schedule();
  }
}
