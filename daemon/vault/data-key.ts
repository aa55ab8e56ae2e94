import { KIND } from '../store/sealed-store.ts';
import type { SealedRecord } from '../store/sealed-store.ts';
import { KEY_BYTES } from './key-memory.ts';
import { Sealing } from './sealing.ts';
import { wipe } from './sodium.ts';
import type { Sodium } from './sodium.ts';

const DATA_KEY_MAGIC = 'cio-data-key-1';
const EPOCH_TAG_BYTES = 4;

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
  const dataKey = sodium.open(rootKey, body, dataKeyAssociated(storeId, tag));
  if (dataKey?.length !== KEY_BYTES || tag.length !== EPOCH_TAG_BYTES) return undefined;
  try {
    return new Sealing(sodium, storeId, Buffer.from(tag).readUInt32BE(), dataKey);
  } finally {
    wipe(dataKey);
  }
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
