import { CredentialError } from '../../src/errors.ts';
import { patternMatcher } from '../access/patterns.ts';
import { spaceOfOwner } from '../access/rules.ts';
import { WatchedView } from '../access/watched-view.ts';
import type { Part } from '../access/watched-view.ts';
import type { StreamingMethod } from './context.ts';

/** Tells what there is, then what changes, until the store is locked or whoever listens is gone. */
export const watch: StreamingMethod<'Watch'> = async function* ({ vault, watches }, caller, parameters, gone, ending) {
  const patterns = parameters.patterns ?? [];
  const view = new WatchedView(vault, watches, caller, {
    only: typeof parameters.owner === 'number' ? spaceOfOwner(parameters.owner) : undefined,
    isEverything: patterns.length === 0,
    matches: patternMatcher(vault.storeId, patterns),
  });
  const end = (): void => view.end(new CredentialError('Busy', {}));
  const leave = [watches.add(view), gone(end), ending(end)];
  try {
    let part = NOTHING;
    for await (const next of view.tell()) {
      if (part !== NOTHING) yield { ...part, settled: false };
      part = next;
    }
    yield { ...part, settled: true };
    for (;;) {
      await view.changes();
      for await (const change of view.tell()) yield { ...change, settled: true };
    }
  } finally {
    for (const each of leave) each();
    view.forget();
  }
};

const NOTHING: Part = { credentials: [], sets: [], vanished: [] };
