import { KIND } from '../store/sealed-store.ts';
import type { SealedReader, SealedRecord } from '../store/sealed-store.ts';
import { Sealing } from './sealing.ts';
import type { Sodium } from './sodium.ts';

const DATA_KEY_MAGIC = 'cio-data-key-1';
const EPOCH_TAG_BYTES = 4;

/** Most data key records that are read. A store has one; with more, another program has changed the file. */
const KEYS_READ_MAX = 500;

/** Makes the record of a data key: the tag is its epoch, the body is the key sealed with the root key. */
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

/** Decrypts a data key's record and returns its sealing; undefined if it was not wrapped with this root key. */
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
 * Returns the current sealing of a store. There should be one data key; if another program has put back an older one,
 * the newest is used. Undefined if the root key decrypts none.
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

/** Returns the tag of a data key's record: its epoch (u32, big-endian). */
export function epochTag(epoch: number): Uint8Array {
  const tag = Buffer.alloc(EPOCH_TAG_BYTES);
  tag.writeUInt32BE(epoch);
  return tag;
}

function dataKeyAssociated(storeId: Uint8Array, tag: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(DATA_KEY_MAGIC), storeId, tag]);
}
