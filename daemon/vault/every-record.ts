import { setImmediate as nextTurn } from 'node:timers/promises';

import { KIND } from '../store/sealed-store.ts';
import type { Kind, SealedReader, SealedRecord } from '../store/sealed-store.ts';

/** Records between two turns of the event loop: some milliseconds of work with each. */
const PAGE = 200;

/** The same of values, which are in memory all at once: each may have a little more than 1 MiB. */
const VALUES_PAGE = 32;

/** Every record of a kind, of a store that nobody writes meanwhile, giving others their turn in between. */
export async function* everyRecord(store: SealedReader, kind: Kind): AsyncGenerator<SealedRecord> {
  const limit = kind === KIND.value ? VALUES_PAGE : PAGE;
  let after: Uint8Array | undefined;
  do {
    const page = store.list(kind, after, limit);
    yield* page;
    await nextTurn();
    after = page.length < limit ? undefined : page.at(-1)?.tag;
  } while (after !== undefined);
}
