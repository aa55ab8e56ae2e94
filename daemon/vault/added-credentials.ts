import { setImmediate as nextTurn } from 'node:timers/promises';

import { KIND } from '../store/sealed-store.ts';
import type { Kind, SealedReader, SealedRecord } from '../store/sealed-store.ts';
import type { Digest } from './head.ts';
import type { CredentialRecord, Space } from './records.ts';
import type { Sealing } from './sealing.ts';

/** Credentials that another program may have added, and the sets of which they are all that there is. */
export interface Suspects {
  readonly credentials: readonly CredentialRecord[];
  readonly sets: readonly { readonly space: Space; readonly set: string }[];
}

/**
 * Proves that another program added credentials to the file: `digest` includes their records and those of the health of
 * their sets, and without them it equals `expected`, the digest of the head.
 *
 * @param digest is changed: these records are removed from it
 * @param requireWanted called before each credential; throws if the caller no longer waits for the result
 * @returns these records, without bodies; undefined if the digests differ, which proves nothing
 */
export async function provenAdditions(
  store: SealedReader,
  sealing: Sealing,
  { credentials, sets }: Suspects,
  digest: Digest,
  expected: Digest,
  requireWanted: () => void,
): Promise<SealedRecord[] | undefined> {
  // Each credential has at least one record. So if a store has lost all its lists, this returns without reading any.
  if (digest.records - credentials.length < expected.records) return undefined;
  const records: SealedRecord[] = [];
  const remove = (kind: Kind, tag: Uint8Array): void => {
    const body = store.get(kind, tag);
    if (body === undefined) return;
    digest.remove(sealing.fingerprint(kind, tag, body));
    records.push({ kind, tag, body: new Uint8Array(0) });
  };
  for (const { id, space, name, versions } of credentials) {
    await nextTurn();
    requireWanted();
    remove(KIND.credential, sealing.credentialTag(space, name));
    for (const { version } of versions) remove(KIND.value, sealing.valueTag(id, version));
  }
  for (const { space, set } of sets) remove(KIND.health, sealing.healthTag(space, set));
  return digest.equals(expected) ? records : undefined;
}
