import { CredentialError } from '../../src/errors.ts';
import { KIND, fixedTag } from '../store/sealed-store.ts';
import type { SealedReader, SealedStore } from '../store/sealed-store.ts';
import { wrapDataKey } from './data-key.ts';
import { Digest, encodeHead } from './head.ts';
import { ID_BYTES, Sealing } from './sealing.ts';
import { encodeSlot } from './slots.ts';
import type { SlotRecord } from './slots.ts';
import { randomBytes } from './sodium.ts';
import type { Sodium } from './sodium.ts';

/** Tells whether the store has no records yet. */
export function isEmptyStore(store: SealedReader): boolean {
  return Object.values(KIND).every((kind) => store.list(kind, undefined, 1).length === 0);
}

/** Returns the id of a store. @throws CredentialError `Damaged` if it has none */
export function storeIdIn(store: SealedReader): Uint8Array {
  const storeId = store.get(KIND.store, fixedTag('store'));
  if (storeId?.length !== ID_BYTES) throw new CredentialError('Damaged', {});
  return Uint8Array.from(storeId);
}

/**
 * Writes the first records of an empty store: its id, a slot with a new root key, a data key and the head.
 *
 * @param firstSlot makes the slot; must not keep the root key
 */
export async function fillNewStore(
  store: SealedStore,
  sodium: Sodium,
  firstSlot: (storeId: Uint8Array, rootKey: Uint8Array) => Promise<SlotRecord>,
): Promise<void> {
  const storeId = randomBytes(ID_BYTES);
  const rootKey = sodium.newKey();
  const dataKey = sodium.newKey();
  const epoch = 1;
  const sealing = new Sealing(sodium, storeId, epoch, dataKey);
  try {
    const slot = await firstSlot(storeId, rootKey);
    const records = [
      { kind: KIND.store, tag: fixedTag('store'), body: storeId },
      { kind: KIND.slot, tag: Buffer.from(slot.id), body: encodeSlot(slot) },
      wrapDataKey(sodium, storeId, rootKey, epoch, dataKey),
    ];
    const digest = new Digest();
    for (const { kind, tag, body } of records) digest.add(sealing.fingerprint(kind, tag, body));
    const headTag = fixedTag('head');
    const transaction = store.begin(undefined);
    try {
      for (const record of records) transaction.put(record);
      const body = sealing.seal(KIND.head, headTag, encodeHead({ commits: 1, digest }));
      transaction.put({ kind: KIND.head, tag: headTag, body });
      transaction.commit();
    } catch (error) {
      transaction.rollback();
      throw error;
    }
  } finally {
    sodium.release(rootKey, dataKey);
    sealing.wipe();
  }
}
