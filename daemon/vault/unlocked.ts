import { CredentialError } from '../../src/errors.ts';
import { KIND, fixedTag } from '../store/sealed-store.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import type { ChangedGrant, VaultChange } from './change.ts';
import { openDataKey } from './data-key.ts';
import { compareGrants, grantKey } from './grant-index.ts';
import { decodeHead } from './head.ts';
import type { Head } from './head.ts';
import { readPrincipals } from './principals.ts';
import type { Principals } from './principals.ts';
import { ReadCache } from './read-cache.ts';
import { OpeningReader } from './reader.ts';
import type { VaultReader } from './reader.ts';
import type { PrincipalRecord } from './records.ts';
import type { Sealing } from './sealing.ts';
import type { Sodium } from './sodium.ts';
import type { Committed } from './transaction.ts';

/** The state of an unlocked store. */
export interface Unlocked {
  readonly rootKey: Uint8Array;
  sealing: Sealing;
  /** Undefined if the head is damaged: everything can be read then, but nothing written until a repair. */
  head: Head | undefined;
  /** The sealed head as it is in the store; the next commit expects to find it there. */
  headBody: Uint8Array | undefined;
  /** Changed in place by each commit. */
  principals: Principals;
  /**
   * False if the record of a principal is damaged. Nothing is written then either: a write would create a new record
   * for that principal without the grants of the old one.
   */
  arePrincipalsWhole: boolean;
  /** Belongs to `sealing`: a new sealing starts with an empty cache. */
  cache: ReadCache;
  reader: VaultReader;
}

/**
 * Reads the state of a store with its root key, which becomes part of the state. If something is damaged, everything is
 * read once more from the disk, which may have returned wrong bytes once.
 *
 * @throws CredentialError `Damaged` if the data key cannot be decrypted
 * @throws StoreError. No key but `rootKey` is held then, which stays the caller's
 */
export function openStore(sodium: Sodium, store: SealedStore, storeId: Uint8Array, rootKey: Uint8Array): Unlocked {
  const state = readState(sodium, store, storeId, rootKey);
  if (state?.head !== undefined && state.arePrincipalsWhole) return state;
  state?.sealing.wipe();
  store.dropCaches(0);
  const again = readState(sodium, store, storeId, rootKey);
  if (again === undefined) throw new CredentialError('Damaged', {});
  return again;
}

function readState(sodium: Sodium, store: SealedStore, storeId: Uint8Array, rootKey: Uint8Array): Unlocked | undefined {
  const sealing = openDataKey(sodium, store, storeId, rootKey);
  if (sealing === undefined) return undefined;
  try {
    const { principals, arePrincipalsWhole } = readPrincipals(store, sealing);
    const headBody = store.get(KIND.head, fixedTag('head'));
    const headText = headBody && sealing.open(KIND.head, fixedTag('head'), headBody);
    const head = headText && decodeHead(headText);
    const cache = new ReadCache(sealing.masked);
    const reader = new OpeningReader(store, sealing, principals, cache);
    return { rootKey, sealing, head, headBody, principals, arePrincipalsWhole, cache, reader };
  } catch (error) {
    sealing.wipe();
    throw error;
  }
}

/** Updates the state to that after a commit of a `VaultTransaction`, and returns what has changed visibly. */
export function follow(state: Unlocked, { head, headBody, principals, changed, healths }: Committed): VaultChange {
  state.head = head;
  state.headBody = headBody;
  const grants = changedGrants(state.principals, principals);
  state.principals.follow(principals);
  state.cache.forget(changed);
  return { credentials: changed, healths, grants };
}

/** Compares the grants before a commit with those in the records that it changes. */
function changedGrants(before: Principals, changed: readonly PrincipalRecord[]): ChangedGrant[] {
  const found: ChangedGrant[] = [];
  for (const { principal, grants } of changed) {
    const { gone, come } = compareGrants(before.get(principal)?.grants, grants);
    const [had, has] = [new Set(gone.map(grantKey)), new Set(come.map(grantKey))];
    for (const grant of gone) if (!has.has(grantKey(grant))) found.push({ principal, grant });
    for (const grant of come) if (!had.has(grantKey(grant))) found.push({ principal, grant });
  }
  return found;
}
