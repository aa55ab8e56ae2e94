import type { SealedStore } from '../store/sealed-store.ts';

/** Delay before deleted records are purged from the WAL. */
const DELAY_MS = 1000;

/**
 * Delay of the checkpoint after commits that deleted nothing. SQLite also runs checkpoints by itself, but only when the
 * WAL is large, and it does not report their failures.
 */
const LATER_MS = 60_000;

/**
 * Delay before a failed purge is retried: another program may be reading the file (a backup), or the disk may have
 * failed.
 */
const RETRY_MS = 10_000;

/** How many delays of {@link DELAY_MS} a purge is put off for a snapshot whose holder could take a new one. */
const POSTPONED_MAX = 10;

/** Callbacks for the results of purges. */
export interface PurgerEvents {
  /** A purge failed, and the one before had not; it is retried. */
  onPurgeFailed(error: unknown): void;
  /** A purge succeeded after one had failed. */
  onPurged(): void;
}

/**
 * Checkpoints the WAL soon after each commit, and so erases deleted records from the WAL and the file. Commits are
 * durable before that. But a WAL that cannot be checkpointed keeps growing, and a disk that fails to take its pages
 * must be noticed before it is full.
 */
export class Purger {
  readonly #store: Pick<SealedStore, 'purge'>;
  readonly #events: PurgerEvents;
  #holders = 0;
  #timer: NodeJS.Timeout | undefined;
  #isDueSoon = false;
  /** How many times in a row a purge of deleted records was due while it was held. */
  #postponed = 0;
  #isFailing = false;

  constructor(store: Pick<SealedStore, 'purge'>, events: PurgerEvents) {
    this.#store = store;
    this.#events = events;
  }

  /**
   * Whether a purge of deleted records has been held up for so long that a holder which can start again should release
   * it.
   */
  get isOverdue(): boolean {
    return this.#postponed >= POSTPONED_MAX;
  }

  /** Schedules a purge within {@link DELAY_MS}, which includes everything that is deleted until then. */
  soon(): void {
    if (this.#isDueSoon) return;
    // After a failure, the retry that is already scheduled stays as it is.
    if (!this.#isFailing) this.#cancel();
    this.#isDueSoon = true;
    this.#schedule(DELAY_MS);
  }

  /** Schedules a purge within {@link LATER_MS}, which includes everything that is written until then. */
  later(): void {
    this.#schedule(LATER_MS);
  }

  /** Purges at once. After a failure, it schedules a retry. */
  now(): void {
    const wasDueSoon = this.#isDueSoon;
    this.#cancel();
    try {
      this.#store.purge();
    } catch (error) {
      if (!this.#isFailing) this.#events.onPurgeFailed(error);
      this.#isFailing = true;
      this.#isDueSoon = wasDueSoon;
      this.#schedule(RETRY_MS);
      return;
    }
    if (this.#isFailing) this.#events.onPurged();
    this.#isFailing = false;
  }

  /** Puts off purges until {@link release}: nothing can be purged while a transaction or a snapshot is open. */
  hold(): void {
    this.#holders += 1;
  }

  release(): void {
    this.#holders -= 1;
  }

  /**
   * Purges at once if nobody but the caller holds it off, and {@link soon} otherwise.
   *
   * @param own the caller's own holds
   */
  nowUnlessHeld(own: number): void {
    if (this.#holders > own) this.soon();
    else this.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isDueSoon = false;
    this.#postponed = 0;
  }

  #schedule(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#holders === 0) {
        this.now();
        return;
      }
      if (this.#isDueSoon) this.#postponed += 1;
      this.#schedule(DELAY_MS);
    }, delayMs).unref();
  }
}
