/**
 * Registers a callback for an event, which calls it at most once.
 *
 * @returns a function that removes the callback
 */
export type Subscribe = (callback: () => void) => () => void;

/** For an event that never happens, such as the departure of a caller who never goes away. */
export const NEVER: Subscribe = () => () => undefined;

/** One event: {@link subscribe} registers callbacks for it, {@link fire} calls them. */
export class Emitter {
  readonly #callbacks: Set<() => void> = new Set();

  readonly subscribe: Subscribe = (callback) => {
    this.#callbacks.add(callback);
    return () => void this.#callbacks.delete(callback);
  };

  /** Calls every registered callback, and removes it. */
  fire(): void {
    const callbacks = [...this.#callbacks];
    this.#callbacks.clear();
    for (const callback of callbacks) callback();
  }
}

/** Remembers whether an event has happened, until it is disposed of. */
export class Latch implements Disposable {
  #isSet = false;
  readonly #unsubscribe: () => void;

  constructor(subscribe: Subscribe) {
    this.#unsubscribe = subscribe(() => {
      this.#isSet = true;
    });
  }

  get isSet(): boolean {
    return this.#isSet;
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }
}
