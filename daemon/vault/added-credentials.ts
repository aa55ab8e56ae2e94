import { setImmediate as nextTurn } from 'node:timers/promises';

import { KIND } from '../store/sealed-store.ts';
import type { SealedReader, SealedRecord } from '../store/sealed-store.ts';
import type { Digest } from './head.ts';
import type { CredentialRecord } from './records.ts';
import type { Sealing } from './sealing.ts';

/**
 * Proves that another program added credentials to the file: `digest` includes their records, and without them it
 * equals `expected`, the digest of the head.
 *
 * @param digest is changed: the records of the credentials are removed from it
 * @returns the records of the credentials, without bodies; undefined if the digests differ, which proves nothing
 */
export async function provenAdditions(
  store: SealedReader,
  sealing: Sealing,
  credentials: readonly CredentialRecord[],
  digest: Digest,
  expected: Digest,
): Promise<SealedRecord[] | undefined> {
  // Each credential has at least one record. So if a store has lost all its lists, this returns without reading any.
  if (digest.records - credentials.length < expected.records) return undefined;
  const records: SealedRecord[] = [];
  for (const { id, space, name, versions } of credentials) {
    await nextTurn();
    const values = versions.map(({ version }) => ({ kind: KIND.value, tag: sealing.valueTag(id, version) }));
    for (const { kind, tag } of [{ kind: KIND.credential, tag: sealing.credentialTag(space, name) }, ...values]) {
      const body = store.get(kind, tag);
      if (body === undefined) continue;
      digest.remove(sealing.fingerprint(kind, tag, body));
      records.push({ kind, tag, body: new Uint8Array(0) });
    }
  }
  return digest.equals(expected) ? records : undefined;
}
