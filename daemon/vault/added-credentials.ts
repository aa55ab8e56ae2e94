import { setImmediate as nextTurn } from 'node:timers/promises';

import { KIND } from '../store/sealed-store.ts';
import type { SealedReader, SealedRecord } from '../store/sealed-store.ts';
import type { Digest } from './head.ts';
import type { CredentialRecord } from './records.ts';
import type { Sealing } from './sealing.ts';

/**
 * Proves that another program added credentials to the file: they are in `digest`, and without all their records it is the
 * `expected` one, that of the head.
 *
 * @param digest what is over is taken out of it
 * @returns their records, without bodies; undefined where that proves nothing
 */
export async function provenAdditions(
  store: SealedReader,
  sealing: Sealing,
  credentials: readonly CredentialRecord[],
  digest: Digest,
  expected: Digest,
): Promise<SealedRecord[] | undefined> {
  // Each has one record at least: of a store that lost all its lists, none need be read again.
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
