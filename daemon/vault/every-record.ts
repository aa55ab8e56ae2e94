import { setImmediate as nextTurn } from 'node:timers/promises';

import type { Kind, SealedReader, SealedRecord } from '../store/sealed-store.ts';

/** Records between two turns of the event loop: some milliseconds of work with each. */
const PAGE = 200;

/** Every record of a kind, giving others their turn in between. Meant for times when nothing is written. */
export async function* everyRecord(store: SealedReader, kind: Kind): AsyncGenerator<SealedRecord> {
  let after: Uint8Array | undefined;
  do {
    const page = store.list(kind, after, PAGE);
    yield* page;
    await nextTurn();
    after = page.length < PAGE ? undefined : page.at(-1)?.tag;
  } while (after !== undefined);
}
