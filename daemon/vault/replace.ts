import { CredentialError } from '../../src/errors.ts';
import { KIND, fixedTag } from '../store/sealed-store.ts';
import type { SealedReader, SealedStore, SealedTransaction } from '../store/sealed-store.ts';
import { everyRecord } from './every-record.ts';
import { Digest } from './head.ts';
import { isReadable } from './prove-copy.ts';
import type { Unlocked } from './unlocked.ts';

/**
 * Begins a transaction that replaces all records of a store by those of a copy. The caller commits it or rolls it back;
 * no reader sees any of it before the commit.
 *
 * The copy was checked before, but its records are read again here, and the disk may return wrong bytes this time. So
 * each record is decrypted, and all of them are compared with the head of the copy.
 *
 * @param keys the state of the copy
 * @throws CredentialError `BadCopy`
 * @throws StoreError
 */
export async function prepareReplacement(
  store: SealedStore,
  copy: SealedReader,
  keys: Pick<Unlocked, 'sealing' | 'head'>,
): Promise<SealedTransaction> {
  const transaction = store.begin(store.get(KIND.head, fixedTag('head')));
  const digest = new Digest();
  try {
    for (const kind of Object.values(KIND)) {
      for await (const { tag } of everyRecord(store, kind)) transaction.delete(kind, tag);
    }
    for (const kind of Object.values(KIND)) {
      for await (const record of everyRecord(copy, kind)) {
        if (!isReadable(keys.sealing, record)) throw new CredentialError('BadCopy', { reason: 'damaged' });
        if (kind !== KIND.head) digest.add(keys.sealing.fingerprint(kind, record.tag, record.body));
        transaction.put(record);
      }
    }
    if (keys.head?.digest.equals(digest) !== true) throw new CredentialError('BadCopy', { reason: 'damaged' });
    return transaction;
  } catch (error) {
    transaction.rollback();
    throw error;
  }
}
