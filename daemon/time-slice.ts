import { CredentialError } from '../src/errors.ts';
import type { Subscribe } from './emitter.ts';
import { UserQueue } from './user-queue.ts';

/** How long one piece of a long task may keep others waiting. */
const SLICE_MS = 4;

/**
 * Longest time for others between two slices, however long the last one took: the process may have been stopped in it.
 */
const OTHERS_MS_MAX = 100;

/** Most long reads of one user that are under way at a time, without those whose client has stopped reading. */
const PLACES_PER_USER = 4;

/** Most long reads of one user whose results are held, with those. */
const HELD_PER_USER_MAX = 16;

/** A read that was not continued for this long has a client that does not read, and which others need not wait for. */
const STALLED_MS = 1000;

/**
 * Most long reads of one user that wait for a place: as many as there are connections, each of which waits for one. More
 * of them are calls whose callers have left.
 */
const WAITING_PER_USER_MAX = 1000;

/** Finds turns of the event loop in which nobody else has anything to do. */
export class QuietTurns {
  /** Events that the loop has handled, see `performance.nodeTiming.uvMetricsInfo`. */
  #events = 0;

  /** Tells whether no event came since the last call. */
  isQuiet(): boolean {
    const { events } = performance.nodeTiming.uvMetricsInfo;
    const isQuiet = events === this.#events;
    this.#events = events;
    return isQuiet;
  }
}

/**
 * Makes long tasks take turns. In one turn of the event loop, one task runs for a slice; users take turns. Other work
 * then gets as much time as the slice took, while there is any: a call can take several turns of the loop, and if a
 * slice ran in each of them, its caller would wait for as many slices.
 */
export class FairScheduler {
  readonly #waiting: UserQueue = new UserQueue();
  #isScheduled = false;
  #sliceBegan: number | undefined;
  #othersUntil = 0;
  readonly #quietTurns: QuietTurns = new QuietTurns();

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
    return this.#quietTurns.isQuiet() || now >= this.#othersUntil;
  }
}

/** Cuts a long task into slices, between which others have their turn. */
export class TimeSlice {
  readonly #scheduler: FairScheduler;
  readonly #uid: number | undefined;
  readonly #requireWanted: () => void;
  /** The first slice waits for its turn as well. */
  #end = 0;

  /**
   * @param uid the user whose task it is; undefined for the daemon itself
   * @param requireWanted is called when a slice begins, and throws if nobody waits for the result any more
   */
  constructor(scheduler: FairScheduler, uid: number | undefined, requireWanted: () => void = () => undefined) {
    this.#scheduler = scheduler;
    this.#uid = uid;
    this.#requireWanted = requireWanted;
  }

  /** Tells whether the slice is used up; for work that cannot pause in the middle. */
  get isOver(): boolean {
    return performance.now() >= this.#end;
  }

  /**
   * Waits for the next slice if this one is used up. To be called often; mostly returns at once.
   *
   * @throws what `requireWanted` throws
   */
  async pause(): Promise<void> {
    if (!this.isOver) return;
    await this.#scheduler.next(this.#uid);
    this.#requireWanted();
    this.#end = performance.now() + SLICE_MS;
  }
}

/** A long read of one caller. It has one of the user's places until it is disposed of. */
export class LongRead extends TimeSlice implements Disposable {
  readonly #leave: () => void;
  /** When it was last continued; infinite before, and while it waits for its turn. */
  #continued = Infinity;

  constructor(scheduler: FairScheduler, uid: number, requireWanted: () => void, leave: () => void) {
    super(scheduler, uid, requireWanted);
    this.#leave = leave;
  }

  /** Tells whether its client has stopped reading. */
  get isStalled(): boolean {
    return performance.now() - this.#continued > STALLED_MS;
  }

  override async pause(): Promise<void> {
    if (!this.isOver) return;
    this.#continued = Infinity;
    await super.pause();
    this.#continued = performance.now();
  }

  [Symbol.dispose](): void {
    this.#leave();
  }
}

/** The long reads of one user. */
interface UserReads {
  readonly underWay: Set<LongRead>;
  /** In the order in which they came. Each function is told whether its read has a place now. */
  readonly waiting: Map<LongRead, (hasPlace: boolean) => void>;
  /** Looks for reads that have stalled, while others wait. */
  timer: NodeJS.Timeout | undefined;
}

/**
 * Bounds how many long reads of each user are under way at a time. A read keeps what it has found until its end. All
 * reads of a user advance together, so without this bound a thousand of them would hold a thousand results. The reads
 * of one user do not wait for those of another, and only up to a point for clients that do not read.
 */
export class LongReads {
  readonly #scheduler: FairScheduler;
  readonly #users: Map<number, UserReads> = new Map();

  constructor(scheduler: FairScheduler) {
    this.#scheduler = scheduler;
  }

  /**
   * Waits for a place. To be called before anything is read. If the caller leaves, this wait or the read's next `pause`
   * ends with `Busy`.
   *
   * @throws CredentialError `Busy` if the caller has left, or too many reads of this user wait
   */
  async begin(uid: number, onGone: Subscribe): Promise<LongRead> {
    const reads = this.#users.get(uid) ?? { underWay: new Set(), waiting: new Map(), timer: undefined };
    if (reads.waiting.size >= WAITING_PER_USER_MAX) throw new CredentialError('Busy', {});
    this.#users.set(uid, reads);
    const { promise: hasPlace, resolve } = Promise.withResolvers<boolean>();
    let hasLeft = false;
    const requireWanted = (): void => {
      if (hasLeft) throw new CredentialError('Busy', {});
    };
    const read = new LongRead(this.#scheduler, uid, requireWanted, () => {
      unsubscribe();
      reads.underWay.delete(read);
      this.#givePlaces(uid, reads);
    });
    const unsubscribe = onGone(() => {
      hasLeft = true;
      if (reads.waiting.delete(read)) resolve(false);
    });
    reads.waiting.set(read, resolve);
    this.#givePlaces(uid, reads);
    if (!(await hasPlace)) throw new CredentialError('Busy', {});
    return read;
  }

  /** Gives the free places to the reads that have waited longest. */
  #givePlaces(uid: number, reads: UserReads): void {
    for (const [read, resolve] of reads.waiting) {
      if (!hasFreePlace(reads.underWay)) break;
      reads.waiting.delete(read);
      reads.underWay.add(read);
      resolve(true);
    }
    if (reads.waiting.size > 0) {
      reads.timer ??= setInterval(() => this.#givePlaces(uid, reads), STALLED_MS).unref();
      return;
    }
    clearInterval(reads.timer);
    reads.timer = undefined;
    if (reads.underWay.size === 0) this.#users.delete(uid);
  }
}

function hasFreePlace(underWay: ReadonlySet<LongRead>): boolean {
  if (underWay.size >= HELD_PER_USER_MAX) return false;
  return [...underWay].filter(({ isStalled }) => !isStalled).length < PLACES_PER_USER;
}
