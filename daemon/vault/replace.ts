import { KIND, fixedTag } from '../store/sealed-store.ts';
import type { SealedReader, SealedStore, SealedTransaction } from '../store/sealed-store.ts';
import { everyRecord } from './every-record.ts';

/**
 * Prepares the records of a copy to take the place of all that are in a store, in one transaction that the caller commits
 * or rolls back. Nobody sees any of it before.
 *
 * @throws StoreError
 */
export async function prepareReplacement(store: SealedStore, copy: SealedReader): Promise<SealedTransaction> {
  const transaction = store.begin(store.get(KIND.head, fixedTag('head')));
  try {
    for (const kind of Object.values(KIND)) {
      for await (const { tag } of everyRecord(store, kind)) transaction.delete(kind, tag);
    }
    for (const kind of Object.values(KIND)) {
      for await (const record of everyRecord(copy, kind)) transaction.put(record);
    }
    return transaction;
  } catch (error) {
    transaction.rollback();
    throw error;
  }
}
