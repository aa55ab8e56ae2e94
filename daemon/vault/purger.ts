import type { SealedStore } from '../store/sealed-store.ts';

/** How long what was deleted may stay in SQLite's journal. */
const DELAY_MS = 1000;

/** The same where somebody reads the file meanwhile, a backup of it perhaps. */
const RETRY_MS = 10_000;

/** Takes what was deleted out of the file for good, soon after it was. */
export class Purger {
  readonly #store: SealedStore;
  readonly #onFailed: (error: unknown) => void;
  #holders = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param onFailed hears why it could not be done; it is tried again */
  constructor(store: SealedStore, onFailed: (error: unknown) => void) {
    this.#store = store;
    this.#onFailed = onFailed;
  }

  /** Done in a moment, with what else is deleted until then. */
  soon(): void {
    this.#schedule(DELAY_MS);
  }

  now(): void {
    try {
      this.#store.purge();
    } catch (error) {
      this.#onFailed(error);
      this.#schedule(RETRY_MS);
    }
  }

  /** While a transaction or a snapshot is open nothing can be purged: until {@link release} it is not tried. */
  hold(): void {
    this.#holders += 1;
  }

  release(): void {
    this.#holders -= 1;
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #schedule(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#holders > 0) this.#schedule(delayMs);
      else this.now();
    }, delayMs).unref();
  }
}
