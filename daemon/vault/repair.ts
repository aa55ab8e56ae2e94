import { KIND, fixedTag } from '../store/sealed-store.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import type { Findings, SpaceSummary } from './fsck.ts';
import { ReadCache } from './read-cache.ts';
import { OpeningReader } from './reader.ts';
import { currentVersion, emptyPrincipal, isSpace } from './records.ts';
import { VaultTransaction } from './transaction.ts';
import type { Unlocked } from './vault.ts';

const NOTHING: SpaceSummary = { generation: 0, count: 0, names: [], bytes: 0 };

/**
 * Makes what a check could read the whole truth, in one commit: what does not open is dropped, a credential whose current
 * value is gone is dropped with it (an older value would be a wrong one), and the head is made anew.
 *
 * @throws StoreError
 */
export function repair(state: Unlocked, store: SealedStore, findings: Findings): void {
  const transaction = new VaultTransaction(store, state.sealing, findings.principals);
  for (const { kind, tag } of findings.unusable) transaction.deleteRecord(kind, tag);
  for (const { record, unreadable } of findings.incomplete) {
    if (unreadable.has(currentVersion(record).version)) {
      transaction.deleteCredential(record);
      continue;
    }
    for (const version of unreadable) transaction.deleteValue(record, version);
    transaction.putCredential({
      ...record,
      versions: record.versions.filter(({ version }) => !unreadable.has(version)),
    });
  }
  const users = [...findings.principals.keys()].filter(isSpace);
  for (const space of new Set([...users, ...findings.spaces.keys()])) {
    const known = findings.principals.get(space) ?? emptyPrincipal(space);
    const { count, names, bytes, generation } = findings.spaces.get(space) ?? NOTHING;
    transaction.putPrincipal({ ...known, count, names, bytes, generation: Math.max(known.generation, generation) });
  }
  transaction.keep();
  const headBody = store.get(KIND.head, fixedTag('head'));
  const committed = transaction.commit({ commits: state.head?.commits ?? 0, digest: findings.digest }, headBody);
  const { head, headBody: newHeadBody, principals } = committed;
  const cache = new ReadCache();
  const reader = new OpeningReader(store, state.sealing, principals, cache);
  Object.assign(state, { head, headBody: newHeadBody, principals, cache, reader });
}
