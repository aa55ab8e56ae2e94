import type { Scope } from '../support/scope.ts';

/** Cleans up what was started, the last first. */
export class BenchScope implements Scope, AsyncDisposable {
  readonly isLastFirst = true;
  static readonly #open: Set<BenchScope> = new Set();
  static #isOver = false;
  readonly #stack: AsyncDisposableStack = new AsyncDisposableStack();
  #ended: Promise<void> | undefined;

  constructor() {
    // Whoever kills daemons takes the end of one for his own doing, and would start the next.
    if (BenchScope.#isOver) throw new Error('nothing is to be started any more');
    BenchScope.#open.add(this);
  }

  /** Ends every scope that is open, the last one first, and lets none be made any more. @returns what could not be cleaned up */
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
    // It was ended while something was being started: nobody else would take that away.
    void cleanUp();
    throw new Error('what it was started for has ended');
  }

  /** Whoever asks first or second is told when it is done. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= this.#stack.disposeAsync().finally(() => BenchScope.#open.delete(this));
    return this.#ended;
  }
}
