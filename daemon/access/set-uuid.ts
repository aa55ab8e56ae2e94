import { hash } from 'node:crypto';

import { SHARED_SPACE } from '../vault/records.ts';
import type { Space } from '../vault/records.ts';

/**
 * Returns the UUID of a set: version 5 (RFC 9562) of its name, and of its owner if it is a user's, in the store's
 * namespace.
 */
export function uuidOfSet(storeId: Uint8Array, space: Space, set: string): string {
  const name = space === SHARED_SPACE ? set : `${space}/${set}`;
  const digest = hash('sha1', Buffer.concat([storeId, Buffer.from(name)]), 'buffer');
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x50, 6);
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8);
  return formatUuid(digest.subarray(0, 16));
}

/** Formats 16 bytes, such as the id of a store, as a UUID. */
export function formatUuid(id: Uint8Array): string {
  const hex = Buffer.from(id).toString('hex');
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)];
  return parts.join('-');
}
