import { CredentialError } from '../../src/errors.ts';
import { patternMatcher } from '../access/patterns.ts';
import { spaceOfOwner } from '../access/rules.ts';
import { WatchedView } from '../access/watched-view.ts';
import type { Part } from '../access/watched-view.ts';
import type { StreamingMethod } from './context.ts';

/** Reports what there is, then what changes, until the store is locked or the caller is gone. */
export const watch: StreamingMethod<'Watch'> = async function* (
  { vault, watches },
  caller,
  parameters,
  onGone,
  onEnding,
) {
  const patterns = parameters.patterns ?? [];
  const view = new WatchedView(vault, watches, caller, {
    only: typeof parameters.owner === 'number' ? spaceOfOwner(parameters.owner) : undefined,
    isEverything: patterns.length === 0,
    matches: patternMatcher(vault.storeId, patterns),
  });
  const end = (): void => view.end(new CredentialError('Busy', {}));
  const unsubscribers = [watches.add(view), onGone(end), onEnding(end)];
  try {
    let part = NOTHING;
    for await (const next of view.pendingParts()) {
      if (part !== NOTHING) yield { ...part, settled: false };
      part = next;
    }
    yield { ...part, settled: true };
    for (;;) {
      await view.waitForChange();
      for await (const change of view.pendingParts()) yield { ...change, settled: true };
    }
  } finally {
    for (const unsubscribe of unsubscribers) unsubscribe();
    view.release();
  }
};

const NOTHING: Part = { credentials: [], sets: [], vanished: [] };
