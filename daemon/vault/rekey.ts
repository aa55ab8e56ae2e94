import { CredentialError } from '../../src/errors.ts';
import { KIND, fixedTag } from '../store/sealed-store.ts';
import type { Kind, SealedRecord, SealedStore, SealedTransaction } from '../store/sealed-store.ts';
import { wrapDataKey } from './data-key.ts';
import { Digest, encodeHead } from './head.ts';
import { everyRecord } from './every-record.ts';
import { ReadCache } from './read-cache.ts';
import { OpeningReader } from './reader.ts';
import { decodeCredential, decodeHealth, decodeNames, decodePrincipal, inlineValueIn } from './records.ts';
import type { CredentialRecord } from './records.ts';
import { Sealing } from './sealing.ts';
import type { Sodium } from './sodium.ts';
import type { Unlocked } from './unlocked.ts';

/** Above the number of slots or data keys of any store. */
const CLEAR_RECORDS_MAX = 100;

/**
 * Seals every record again under a new data key, in one transaction of the store: if the process is killed at any point
 * before the commit, the store is unchanged. Runs under `Vault.exclusive`; readers see the old records until the
 * commit.
 *
 * @returns the new epoch, and the number of records that were sealed again
 * @throws CredentialError `Damaged` if a record cannot be decrypted, or the head shows that one is missing, added or
 *   older than it was, which the new head would hide. Nothing has changed then
 */
export async function rekey(
  sodium: Sodium,
  state: Unlocked,
  store: SealedStore,
): Promise<{ keyEpoch: number; records: number }> {
  const { head, headBody, sealing: oldSealing, rootKey } = state;
  if (head === undefined) throw new CredentialError('Damaged', {});
  const transaction = store.begin(headBody);
  let dataKey: Uint8Array | undefined;
  let sealing: Sealing | undefined;
  try {
    dataKey = sodium.newKey();
    sealing = new Sealing(sodium, oldSealing.storeId, oldSealing.epoch + 1, dataKey);
    const rewrite = new Rewrite(store, transaction, oldSealing, sealing);
    rewrite.keepClear();
    rewrite.put(wrapDataKey(sodium, sealing.storeId, rootKey, sealing.epoch, dataKey));
    await rewrite.reseal();
    if (!rewrite.oldDigest.equals(head.digest)) throw new CredentialError('Damaged', {});
    const nextHead = { commits: head.commits + 1, digest: rewrite.digest };
    const body = sealing.seal(KIND.head, fixedTag('head'), encodeHead(nextHead));
    transaction.put({ kind: KIND.head, tag: fixedTag('head'), body });
    transaction.commit(true);
    const cache = new ReadCache(sealing.masked);
    const reader = new OpeningReader(store, sealing, state.principals, cache);
    Object.assign(state, { sealing, head: nextHead, headBody: body, cache, reader });
    oldSealing.wipe();
    return { keyEpoch: sealing.epoch, records: rewrite.resealed };
  } catch (error) {
    transaction.rollback();
    sealing?.wipe();
    throw error;
  } finally {
    sodium.release(dataKey);
  }
}

/** One pass over the store, which rewrites all records from the old sealing to the new one. */
class Rewrite {
  readonly oldDigest: Digest = new Digest();
  readonly digest: Digest = new Digest();
  resealed = 0;
  #values = 0;
  readonly #store: SealedStore;
  readonly #transaction: SealedTransaction;
  readonly #old: Sealing;
  readonly #new: Sealing;

  constructor(store: SealedStore, transaction: SealedTransaction, oldSealing: Sealing, newSealing: Sealing) {
    this.#store = store;
    this.#transaction = transaction;
    this.#old = oldSealing;
    this.#new = newSealing;
  }

  /** Keeps the store's id and the slots as they are, and deletes the old data key. */
  keepClear(): void {
    for (const kind of [KIND.store, KIND.slot]) {
      for (const { tag, body } of this.#store.list(kind, undefined, CLEAR_RECORDS_MAX)) {
        this.oldDigest.add(this.#old.fingerprint(kind, tag, body));
        this.digest.add(this.#new.fingerprint(kind, tag, body));
      }
    }
    for (const { kind, tag, body } of this.#store.list(KIND.dataKey, undefined, CLEAR_RECORDS_MAX)) {
      this.oldDigest.add(this.#old.fingerprint(kind, tag, body));
      this.#transaction.delete(kind, tag);
    }
  }

  put(record: SealedRecord): void {
    this.#transaction.put(record);
    this.digest.add(this.#new.fingerprint(record.kind, record.tag, record.body));
  }

  async reseal(): Promise<void> {
    for await (const { tag, body } of everyRecord(this.#store, KIND.principal)) {
      const text = this.#opened(KIND.principal, tag, body);
      this.#move(KIND.principal, tag, this.#new.principalTag(decodePrincipal(text).principal), text);
    }
    for await (const { tag, body } of everyRecord(this.#store, KIND.credential)) {
      const text = this.#opened(KIND.credential, tag, body);
      const isInline = inlineValueIn(text) !== undefined;
      const record = decodeCredential(text);
      this.#move(KIND.credential, tag, this.#new.credentialTag(record.space, record.name), text);
      for (const { version } of isInline ? record.versions.slice(0, -1) : record.versions)
        this.#moveValue(record, version);
    }
    for await (const { tag, body } of everyRecord(this.#store, KIND.names)) {
      const text = this.#opened(KIND.names, tag, body);
      this.#move(KIND.names, tag, this.#new.namesTag(decodeNames(text).id), text);
    }
    for await (const { tag, body } of everyRecord(this.#store, KIND.health)) {
      const text = this.#opened(KIND.health, tag, body);
      const { space, set } = decodeHealth(text);
      this.#move(KIND.health, tag, this.#new.healthTag(space, set), text);
    }
    // A value that no credential refers to would stay in the store, sealed under the old key, which is gone.
    let strayValues = -this.#values;
    for await (const _ of everyRecord(this.#store, KIND.value)) strayValues += 1;
    if (strayValues !== 0) throw new CredentialError('Damaged', {});
  }

  #moveValue(record: CredentialRecord, version: number): void {
    const tag = this.#old.valueTag(record.id, version);
    const body = this.#store.get(KIND.value, tag);
    if (body === undefined) throw new CredentialError('Damaged', { name: record.name });
    const value = this.#opened(KIND.value, tag, body, record.name);
    this.#values += 1;
    this.#move(KIND.value, tag, this.#new.valueTag(record.id, version), value);
  }

  #opened(kind: Kind, tag: Uint8Array, body: Uint8Array, name?: string): Uint8Array {
    const text = this.#old.open(kind, tag, body);
    if (text === undefined) throw new CredentialError('Damaged', name === undefined ? {} : { name });
    this.oldDigest.add(this.#old.fingerprint(kind, tag, body));
    return text;
  }

  /** Replaces a record by `text` sealed under the new key, and wipes `text`. */
  #move(kind: Kind, oldTag: Uint8Array, tag: Uint8Array, text: Uint8Array): void {
    try {
      this.#transaction.delete(kind, oldTag);
      this.put({ kind, tag, body: this.#new.seal(kind, tag, text) });
      this.resealed += 1;
    } finally {
      text.fill(0);
    }
  }
}
