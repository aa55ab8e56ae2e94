import type { Scope } from '../support/scope.ts';

/** Cleans up what was started, the last first. */
export class BenchScope implements Scope, AsyncDisposable {
  readonly #stack: AsyncDisposableStack = new AsyncDisposableStack();

  after(cleanUp: () => void | Promise<void>): void {
    this.#stack.defer(cleanUp);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}
