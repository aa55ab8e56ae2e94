/**
 * Somebody who asked and may go away before he is answered: calls back, once, when he does.
 *
 * @returns what takes the callback back
 */
export type Gone = (callback: () => void) => () => void;

/** Of somebody who stays. */
export const NEVER_GONE: Gone = () => () => undefined;

/** Whoever sees somebody go: hands out {@link gone} to those who want to hear of it, and tells them. */
export class Departure {
  readonly #callbacks: Set<() => void> = new Set();

  readonly gone: Gone = (callback) => {
    this.#callbacks.add(callback);
    return () => void this.#callbacks.delete(callback);
  };

  /** Calls all back that did not take it back, and were not called yet. */
  tell(): void {
    const callbacks = [...this.#callbacks];
    this.#callbacks.clear();
    for (const callback of callbacks) callback();
  }
}
