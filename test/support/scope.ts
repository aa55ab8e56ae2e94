/** Something that clean-ups are registered with: a test's context, or `{ after }` of node:test for a whole file. */
export interface Scope {
  after(cleanUp: () => void | Promise<void>): void;
  /**
   * Whether `after` itself runs clean-ups as {@link atEnd} promises, in reverse order and all of them. node:test does
   * neither.
   */
  readonly isLastFirst?: boolean;
}

type CleanUp = () => void | Promise<void>;

const CLEAN_UPS = new WeakMap<Scope, CleanUp[]>();

/**
 * Registers a clean-up for the end of a scope. The clean-ups run in reverse order, so that a process is ended before
 * its folder is removed, and all of them run even if one fails. node:test runs them in the order of registration and
 * stops at the first failure; a process that is left running then keeps the whole file from ending.
 */
export function atEnd(scope: Scope, cleanUp: CleanUp): void {
  const begun = CLEAN_UPS.get(scope);
  if (scope.isLastFirst === true) scope.after(cleanUp);
  else if (begun !== undefined) begun.push(cleanUp);
  else {
    CLEAN_UPS.set(scope, [cleanUp]);
    scope.after(() => cleanUpAll(scope));
  }
}

async function cleanUpAll(scope: Scope): Promise<void> {
  const cleanUps = CLEAN_UPS.get(scope) ?? [];
  const errors: unknown[] = [];
  for (let last = cleanUps.pop(); last !== undefined; last = cleanUps.pop()) {
    try {
      await last();
    } catch (error) {
      errors.push(error);
    }
  }
  CLEAN_UPS.delete(scope);
  if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors);
}
