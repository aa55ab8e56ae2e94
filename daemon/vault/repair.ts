import { CredentialError } from '../../src/errors.ts';
import { KIND, fixedTag } from '../store/sealed-store.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import type { Findings } from './findings.ts';
import { commitOf } from './name-lists.ts';
import { ReadCache } from './read-cache.ts';
import { OpeningReader } from './reader.ts';
import { currentVersion, emptyPrincipal, isSpace } from './records.ts';
import type { CredentialRecord } from './records.ts';
import { EMPTY_SUMMARY } from './space-summaries.ts';
import { VaultTransaction } from './transaction.ts';
import type { VaultWriter } from './transaction.ts';
import type { Unlocked } from './unlocked.ts';

/**
 * Reduces the store to what a check could read, in one commit. Records that cannot be decrypted are dropped, as is a
 * credential whose current value is lost (an older value would be wrong), and a new head is written.
 *
 * @param findings of a check that has inspected the pages
 * @param afterwards makes the changes that follow from the repair, in the same commit
 * @throws CredentialError `Damaged` if pages of the file are damaged: the records on them would be taken for deleted,
 *   and everything that refers to them would be dropped
 * @throws StoreError
 */
export function repair(
  state: Unlocked,
  store: SealedStore,
  findings: Findings,
  afterwards: (writer: VaultWriter) => void,
): void {
  if (!findings.isWhole) throw new CredentialError('Damaged', {});
  // Without a head, the commit count continues from the newest list, so that the ids of lists still tell which is
  // older.
  let commits = state.head?.commits ?? 0;
  if (state.head === undefined)
    for (const id of findings.namesWithoutCredential.keys()) commits = Math.max(commits, commitOf(id));
  const transaction = new VaultTransaction(store, state.sealing, findings.principals, commits);
  for (const { kind, tag } of findings.unusable) transaction.deleteRecord(kind, tag);
  const { incomplete, unlisted } = findings;
  for (const [id, names] of findings.namesWithoutCredential) for (const name of names) transaction.unlist(id, name);
  const repaired = new Map<string, CredentialRecord>(
    unlisted.map((record) => [record.id, { ...record, listed: undefined }]),
  );
  for (const { record, unreadable } of incomplete) {
    if (unreadable.has(currentVersion(record).version)) {
      repaired.delete(record.id);
      transaction.deleteCredential(record);
      continue;
    }
    for (const version of unreadable) transaction.deleteValue(record, version);
    const versions = record.versions.filter(({ version }) => !unreadable.has(version));
    repaired.set(record.id, { ...(repaired.get(record.id) ?? record), versions });
  }
  for (const record of repaired.values()) transaction.putCredential(record);
  const users = [...findings.principals.keys()].filter(isSpace);
  for (const space of new Set([...users, ...findings.spaces.keys()])) {
    const known = findings.principals.get(space) ?? emptyPrincipal(space);
    const { count, names, bytes, generation } = findings.spaces.get(space) ?? EMPTY_SUMMARY;
    transaction.putPrincipal({ ...known, count, names, bytes, generation: Math.max(known.generation, generation) });
  }
  afterwards(transaction);
  transaction.keep();
  const headBody = store.get(KIND.head, fixedTag('head'));
  const committed = transaction.commit({ commits, digest: findings.digest }, headBody);
  const { head, headBody: newHeadBody } = committed;
  const { principals } = findings;
  principals.follow(committed.principals);
  const cache = new ReadCache(state.sealing.masked);
  const reader = new OpeningReader(store, state.sealing, principals, cache);
  Object.assign(state, { head, headBody: newHeadBody, principals, arePrincipalsWhole: true, cache, reader });
}
