/** Where a helper leaves what to do at the end: a test's context, or `{ after }` of node:test for a whole file. */
export interface Scope {
  after(cleanUp: () => void | Promise<void>): void;
  /** Whether it does that in the order of {@link atEnd} itself, and all of it; node:test does neither. */
  readonly isLastFirst?: boolean;
}

type CleanUp = () => void | Promise<void>;

const CLEAN_UPS = new WeakMap<Scope, CleanUp[]>();

/**
 * Leaves something to do at the end of a scope: the last first, so that a process is ended before its folder is taken away,
 * and all of it, whatever fails. node:test begins with the first and ends with the first that fails: a process that is left
 * so holds up the end of the whole file.
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
