import { KIND } from '../store/sealed-store.ts';
import type { SealedReader, SealedRecord } from '../store/sealed-store.ts';
import { Sealing } from './sealing.ts';
import type { Sodium } from './sodium.ts';

const DATA_KEY_MAGIC = 'cio-data-key-1';
const EPOCH_TAG_BYTES = 4;

/** There is one; with more somebody had his hands in the file. */
const KEYS_READ_MAX = 500;

/** The record of a data key: its epoch is the tag, its body the key sealed by the root key. */
export function wrapDataKey(
  sodium: Sodium,
  storeId: Uint8Array,
  rootKey: Uint8Array,
  epoch: number,
  dataKey: Uint8Array,
): SealedRecord {
  const tag = epochTag(epoch);
  return { kind: KIND.dataKey, tag, body: sodium.seal(rootKey, dataKey, dataKeyAssociated(storeId, tag)) };
}

/** The sealing of a data key's record; undefined where the root key is not the one that wrapped it. */
export function unwrapDataKey(
  sodium: Sodium,
  storeId: Uint8Array,
  rootKey: Uint8Array,
  tag: Uint8Array,
  body: Uint8Array,
): Sealing | undefined {
  if (tag.length !== EPOCH_TAG_BYTES) return undefined;
  const dataKey = sodium.openKey(rootKey, body, dataKeyAssociated(storeId, tag));
  if (dataKey === undefined) return undefined;
  try {
    return new Sealing(sodium, storeId, Buffer.from(tag).readUInt32BE(), dataKey);
  } finally {
    sodium.release(dataKey);
  }
}

/**
 * The sealing that a store was made with last: there is one data key, and where an older one was put back beside it, it is the
 * newest that counts. Undefined where the root key opens none.
 */
export function openDataKey(
  sodium: Sodium,
  store: SealedReader,
  storeId: Uint8Array,
  rootKey: Uint8Array,
): Sealing | undefined {
  for (const { tag, body } of store.list(KIND.dataKey, undefined, KEYS_READ_MAX).toReversed()) {
    const sealing = unwrapDataKey(sodium, storeId, rootKey, tag, body);
    if (sealing !== undefined) return sealing;
  }
  return undefined;
}

/** The tag of a data key's record: its epoch (u32, big-endian). */
export function epochTag(epoch: number): Uint8Array {
  const tag = Buffer.alloc(EPOCH_TAG_BYTES);
  tag.writeUInt32BE(epoch);
  return tag;
}

function dataKeyAssociated(storeId: Uint8Array, tag: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(DATA_KEY_MAGIC), storeId, tag]);
}
