import type { Scope } from '../support/scope.ts';

/** Cleans up what was started, in reverse order. */
export class BenchScope implements Scope, AsyncDisposable {
  readonly isLastFirst = true;
  static readonly #open: Set<BenchScope> = new Set();
  static #isOver = false;
  readonly #stack: AsyncDisposableStack = new AsyncDisposableStack();
  #ended: Promise<void> | undefined;

  constructor() {
    // A scenario that kills daemons takes the end of one for its own doing, and would start the next.
    if (BenchScope.#isOver) throw new Error('nothing is to be started any more');
    BenchScope.#open.add(this);
  }

  /** Ends every open scope, the last one first, and prevents new ones. @returns the errors of the clean-up */
  static async endAll(): Promise<unknown[]> {
    BenchScope.#isOver = true;
    const errors: unknown[] = [];
    for (let last = [...this.#open].at(-1); last !== undefined; last = [...this.#open].at(-1)) {
      await last[Symbol.asyncDispose]().catch((error: unknown) => errors.push(error));
    }
    return errors;
  }

  after(cleanUp: () => void | Promise<void>): void {
    if (!this.#stack.disposed) {
      this.#stack.defer(cleanUp);
      return;
    }
    // The scope ended while something was being started, so nothing else would clean that up.
    void cleanUp();
    throw new Error('what it was started for has ended');
  }

  /** May be called more than once; every caller waits for the end of the clean-up. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= this.#stack.disposeAsync().finally(() => BenchScope.#open.delete(this));
    return this.#ended;
  }
}
