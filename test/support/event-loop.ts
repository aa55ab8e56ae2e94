import type { Scope } from './scope.ts';

/** Counts the turns of the event loop until the scope ends, and calls `onTurn` in each. */
export function countTurns(scope: Scope, onTurn: () => void = () => undefined): { readonly count: number } {
  const turns = { count: 0 };
  let next: NodeJS.Immediate;
  const take = (): void => {
    turns.count += 1;
    onTurn();
    next = setImmediate(take);
  };
  next = setImmediate(take);
  scope.after(() => clearImmediate(next));
  return turns;
}
