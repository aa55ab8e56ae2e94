/** Where a helper leaves what to do at the end: a test's context, or `{ after }` of node:test for a whole file. */
export interface Scope {
  after(cleanUp: () => void | Promise<void>): void;
}
