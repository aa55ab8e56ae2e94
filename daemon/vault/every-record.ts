import { setImmediate as nextTurn } from 'node:timers/promises';

import { KIND } from '../store/sealed-store.ts';
import type { Kind, SealedReader, SealedRecord } from '../store/sealed-store.ts';

/** Records per turn of the event loop: some milliseconds of work. */
const PAGE = 200;

/** The same for values, of which all in a page are in memory at once: each may have a little more than 1 MiB. */
const VALUES_PAGE = 32;

/** Yields every record of a kind, and yields to the event loop in between. The store must not be written meanwhile. */
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
