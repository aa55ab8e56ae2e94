import type { SealedStore } from '../store/sealed-store.ts';

/** How long what was deleted may stay in SQLite's journal. */
const DELAY_MS = 1000;

/** The same for what was only written: SQLite moves it by itself where there is much of it, and says nothing where it cannot. */
const LATER_MS = 60_000;

/** The same where somebody reads the file meanwhile, a backup of it perhaps, or the disk does not take it. */
const RETRY_MS = 10_000;

/** How many times {@link DELAY_MS} what was deleted waits for a snapshot that could as well be taken again. */
const POSTPONED_MAX = 10;

/** Hears how it goes. */
export interface PurgerEvents {
  /** Why it could not be done, the first time; it is tried again. */
  onPurgeFailed(error: unknown): void;
  /** It could be done again. */
  onPurged(): void;
}

/**
 * Moves what is in SQLite's journal to the file, and so takes what was deleted out of both for good, soon after it was.
 * What lies there is durable before; but a journal that cannot be moved grows, and a disk that takes no more is to be heard
 * of before it is full.
 */
export class Purger {
  readonly #store: Pick<SealedStore, 'purge'>;
  readonly #events: PurgerEvents;
  #holders = 0;
  #timer: NodeJS.Timeout | undefined;
  #isDueSoon = false;
  /** How often in a row it was due soon, and somebody held it. */
  #postponed = 0;
  #isFailing = false;

  constructor(store: Pick<SealedStore, 'purge'>, events: PurgerEvents) {
    this.#store = store;
    this.#events = events;
  }

  /** What was deleted has waited so long for who holds it that he should release it, if he can begin anew. */
  get isOverdue(): boolean {
    return this.#postponed >= POSTPONED_MAX;
  }

  /** Done in a moment, with what else is deleted until then. */
  soon(): void {
    if (this.#isDueSoon) return;
    // Where it failed, it is tried as often as that allows.
    if (!this.#isFailing) this.#cancel();
    this.#isDueSoon = true;
    this.#schedule(DELAY_MS);
  }

  /** Done within a minute, with what else is written until then. */
  later(): void {
    this.#schedule(LATER_MS);
  }

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

  /** While a transaction or a snapshot is open nothing can be purged: until {@link release} it is not tried. */
  hold(): void {
    this.#holders += 1;
  }

  release(): void {
    this.#holders -= 1;
  }

  /** Done now where nobody holds it but the caller, so many times, and else in a moment. */
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
