import { createHash } from 'node:crypto';

import type { Space } from '../vault/records.ts';

/** The UUID of a set: version 5 (RFC 9562) of its name, and its owner where it is one user's, under the store's id. */
export function uuidOfSet(storeId: Uint8Array, space: Space, set: string): string {
  const name = space === 'system' ? set : `${space}/${set}`;
  const hash = createHash('sha1').update(storeId).update(name).digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  return hash.toString('hex', 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

/** The id of a store as text. */
export function formatUuid(id: Uint8Array): string {
  return Buffer.from(id)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}
