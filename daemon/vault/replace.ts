import { KIND, fixedTag } from '../store/sealed-store.ts';
import type { SealedReader, SealedStore, SealedTransaction } from '../store/sealed-store.ts';
import { everyRecord } from './every-record.ts';

/**
 * Begins a transaction that replaces all records of a store by those of a copy. The caller commits it or rolls it back;
 * no reader sees any of it before the commit.
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
