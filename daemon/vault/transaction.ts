import { CredentialError } from '../../src/errors.ts';
import { BODY_BYTES_MAX, KIND, fixedTag } from '../store/sealed-store.ts';
import type { Kind, SealedStore } from '../store/sealed-store.ts';
import { Digest, encodeHead } from './head.ts';
import type { Head } from './head.ts';
import { NameLists } from './name-lists.ts';
import { StagedPrincipals } from './principals.ts';
import type { Principals } from './principals.ts';
import { OpeningReader } from './reader.ts';
import type { VaultReader } from './reader.ts';
import {
  INLINE_BYTES_MAX,
  currentVersion,
  decodeCredential,
  decodeNames,
  emptyPrincipal,
  encodeCredential,
  encodeRecord,
  encodeValue,
  inlineValueIn,
  isEmptyPrincipal,
} from './records.ts';
import type { CredentialRecord, GrantEntry, HealthRecord, PrincipalId, PrincipalRecord, Space } from './records.ts';
import type { Sealing } from './sealing.ts';
import { SLOTS_READ_MAX, decodeSlot, encodeSlot } from './slots.ts';
import type { SlotRecord } from './slots.ts';
import { wipe } from './sodium.ts';
import { StagedRecords } from './staged-records.ts';
import type { Change } from './staged-records.ts';

/**
 * Collects the changes of one call. Reads include its own writes, and those of earlier calls in the same commit; only
 * `credentials` and `healths` list what was committed before.
 */
export interface VaultWriter extends VaultReader {
  /**
   * Stores a credential. `value`, which stays the caller's, is its current value if that is new; without it, the
   * credential keeps the value that it has. The previous value is kept if `record` still lists its version.
   */
  putCredential(record: CredentialRecord, value?: Uint8Array): void;
  /** Deletes a credential with all its kept values. */
  deleteCredential(record: CredentialRecord): void;
  deleteValue(record: CredentialRecord, version: number): void;
  putPrincipal(record: PrincipalRecord): void;
  /** Stores the result of a validation. Makes no new generation: the result is not a change of the set. */
  putHealth(record: HealthRecord): void;
  deleteHealth(space: Space, set: string): void;
  /** Returns the slots including the changes of earlier calls in the same commit. Unreadable ones are left out. */
  slots(): SlotRecord[];
  putSlot(slot: SlotRecord): void;
  deleteSlot(id: string): void;
  /**
   * Returns the generation of the space that this change makes. The first call counts it up; further calls in the same
   * change return the same number.
   */
  generation(space: Space): number;
}

/** The new state after a commit, for the vault to take over. */
export interface Committed {
  readonly head: Head;
  /** The sealed head, which the next commit expects to find in the store. */
  readonly headBody: Uint8Array;
  /** The principals that changed; the record of an empty one was deleted. */
  readonly principals: readonly PrincipalRecord[];
  /** The credentials that were created, changed or removed; some may be listed more than once. */
  readonly changed: readonly CredentialRecord[];
  /** The validation results that were stored. */
  readonly healths: readonly HealthRecord[];
  /** Whether a record may have been deleted, and so is still in the WAL and the file until a purge. */
  readonly hasDeletes: boolean;
}

/**
 * Collects the changes of several calls for one commit. The changes of a call are kept or dropped as a whole: a call
 * that is refused leaves none of its changes behind.
 */
export class VaultTransaction implements VaultWriter {
  readonly #store: SealedStore;
  readonly #sealing: Sealing;
  readonly #records: StagedRecords;
  readonly #principals: StagedPrincipals;
  readonly #lists: NameLists;
  readonly #reader: VaultReader;
  /** Ids of credentials that are not in the store yet. */
  readonly #newIds: Set<string> = new Set();
  /** The spaces of which the current call makes a new generation. */
  readonly #touched: Set<Space> = new Set();
  readonly #keptCredentials: CredentialRecord[] = [];
  #changedCredentials: CredentialRecord[] = [];
  readonly #keptHealths: HealthRecord[] = [];
  #changedHealths: HealthRecord[] = [];

  /**
   * @param principals the committed principals; the transaction does not change them
   * @param commits the number of commits so far
   */
  constructor(store: SealedStore, sealing: Sealing, principals: Principals, commits: number) {
    this.#store = store;
    this.#sealing = sealing;
    this.#records = new StagedRecords(store);
    this.#principals = new StagedPrincipals(principals);
    this.#lists = new NameLists(commits + 1);
    this.#reader = new OpeningReader(this.#records, sealing, principals);
  }

  credential(space: Space, name: string): CredentialRecord | undefined {
    return this.#reader.credential(space, name);
  }

  setMembers(space: Space, set: string): ReadonlyMap<string, CredentialRecord> {
    return this.#reader.setMembers(space, set);
  }

  value(record: CredentialRecord, version: number): Uint8Array {
    return this.#reader.value(record, version);
  }

  valueFor<T extends object>(record: CredentialRecord, version: number, use: (value: Uint8Array) => T): T {
    return this.#reader.valueFor(record, version, use);
  }

  principal(id: PrincipalId): PrincipalRecord | undefined {
    return this.#principals.get(id);
  }

  principals(): Iterable<PrincipalRecord> {
    return this.#principals.values();
  }

  grantees(space: Space, kind: GrantEntry['kind'], target: string): ReadonlyMap<PrincipalId, GrantEntry> {
    return this.#principals.grantees(space, kind, target);
  }

  isGranted(principals: readonly PrincipalId[], target: GrantEntry): boolean {
    return this.#principals.isGranted(principals, target);
  }

  grantsGiven(space: Space): number {
    return this.#principals.grantsGiven(space);
  }

  credentials(after: Uint8Array | undefined, limit: number): ReturnType<VaultReader['credentials']> {
    return this.#reader.credentials(after, limit);
  }

  health(space: Space, set: string): HealthRecord | undefined {
    return this.#reader.health(space, set);
  }

  healths(after: Uint8Array | undefined, limit: number): ReturnType<VaultReader['healths']> {
    return this.#reader.healths(after, limit);
  }

  putCredential(given: CredentialRecord, value?: Uint8Array): void {
    const record = this.#lists.listed(given);
    this.#changedCredentials.push(record);
    const tag = this.#sealing.credentialTag(record.space, record.name);
    if (this.#records.isKnownAbsent(KIND.credential, tag)) this.#newIds.add(record.id);
    const { version } = currentVersion(record);
    const stored = this.#records.get(KIND.credential, tag);
    const kept = stored && this.#inlineValue(record, tag, stored);
    // If the previous value is a record of its own, or was dropped by a repair, the current one becomes a record of its
    // own too. Stored inline, it could be overwritten with an older copy of the credential's record without a trace.
    const isBeforeThere = version === 1 || record.versions.at(-2)?.version === version - 1;
    const isInlineNext = stored === undefined || (kept !== undefined && isBeforeThere);
    try {
      const current = value ?? (kept?.version === version ? kept.value : undefined);
      const isInline = isInlineNext && current !== undefined && current.length <= INLINE_BYTES_MAX;
      if (current !== undefined && !isInline) this.#putValue(record, version, current);
      if (kept !== undefined && kept.version !== version && record.versions.some((v) => v.version === kept.version))
        this.#putValue(record, kept.version, kept.value);
      this.#putSealed(KIND.credential, tag, encodeCredential(record, isInline ? current : undefined));
    } finally {
      if (kept !== undefined) wipe(kept.value);
    }
  }

  deleteCredential(record: CredentialRecord): void {
    this.#changedCredentials.push(record);
    for (const { version } of record.versions) this.deleteValue(record, version);
    this.#records.delete(KIND.credential, this.#sealing.credentialTag(record.space, record.name));
    if (record.listed !== undefined) this.unlist(record.listed, record.name);
  }

  deleteValue(record: CredentialRecord, version: number): void {
    this.#records.delete(KIND.value, this.#sealing.valueTag(record.id, version));
  }

  /** Removes a name from a list of names. */
  unlist(id: string, name: string): void {
    this.#lists.remove(id, name);
  }

  /** Deletes a record that cannot be decrypted or belongs to nothing any more. */
  deleteRecord(kind: Kind, tag: Uint8Array): void {
    this.#records.delete(kind, tag);
  }

  putHealth(record: HealthRecord): void {
    this.#changedHealths.push(record);
    const tag = this.#sealing.healthTag(record.space, record.set);
    this.#records.put(KIND.health, tag, this.#sealing.seal(KIND.health, tag, encodeRecord(record)));
  }

  deleteHealth(space: Space, set: string): void {
    const tag = this.#sealing.healthTag(space, set);
    if (this.#records.get(KIND.health, tag) !== undefined) this.#records.delete(KIND.health, tag);
  }

  putPrincipal(record: PrincipalRecord): void {
    this.#principals.put(record);
  }

  slots(): SlotRecord[] {
    return this.#records.listAll(KIND.slot, SLOTS_READ_MAX).flatMap(({ tag, body }) => decodeSlot(tag, body) ?? []);
  }

  putSlot(slot: SlotRecord): void {
    this.#records.put(KIND.slot, Buffer.from(slot.id), encodeSlot(slot));
  }

  deleteSlot(id: string): void {
    this.#records.delete(KIND.slot, Buffer.from(id));
  }

  generation(space: Space): number {
    const principal = this.principal(space) ?? emptyPrincipal(space);
    if (this.#touched.has(space)) return principal.generation;
    this.#touched.add(space);
    this.putPrincipal({ ...principal, generation: principal.generation + 1 });
    return principal.generation + 1;
  }

  /** Adds the changes since the last {@link keep} or {@link drop} to the commit. */
  keep(): void {
    this.#records.keep();
    this.#principals.keep();
    this.#lists.keep();
    for (const record of this.#changedCredentials) this.#keptCredentials.push(record);
    for (const record of this.#changedHealths) this.#keptHealths.push(record);
    this.drop();
  }

  /** Discards the changes since the last {@link keep}. */
  drop(): void {
    this.#records.drop();
    this.#principals.drop();
    this.#lists.drop();
    this.#touched.clear();
    this.#changedCredentials = [];
    this.#changedHealths = [];
  }

  get hasChanges(): boolean {
    return this.#records.hasKept || this.#principals.hasKept;
  }

  /**
   * Makes all kept changes durable, in one transaction of the store.
   *
   * @throws StoreError; CredentialError `TooLarge` if a record is larger than {@link BODY_BYTES_MAX}
   */
  commit(head: Head, headBody: Uint8Array | undefined): Committed {
    const principals = this.#principals.kept();
    this.drop();
    this.#sealPrincipals(principals);
    this.#sealNames();
    this.#records.keep();
    const changes = this.#records.kept();
    const nextHead = { commits: head.commits + 1, digest: this.#digestAfter(changes, head.digest) };
    const headTag = fixedTag('head');
    const nextHeadBody = this.#sealing.seal(KIND.head, headTag, encodeHead(nextHead));
    const transaction = this.#store.begin(headBody);
    try {
      for (const change of changes) {
        if (change.body === undefined) transaction.delete(change.kind, change.tag);
        else transaction.put(change);
      }
      transaction.put({ kind: KIND.head, tag: headTag, body: nextHeadBody });
      transaction.commit();
    } catch (error) {
      transaction.rollback();
      throw error;
    }
    return {
      head: nextHead,
      headBody: nextHeadBody,
      principals,
      changed: this.#keptCredentials,
      healths: this.#keptHealths,
      // A value that is stored inline has no record of its own to delete: the record of its credential is replaced.
      hasDeletes: changes.some(({ body }) => body === undefined),
    };
  }

  #sealPrincipals(principals: readonly PrincipalRecord[]): void {
    for (const record of principals) {
      const tag = this.#sealing.principalTag(record.principal);
      if (isEmptyPrincipal(record)) this.#records.delete(KIND.principal, tag);
      else this.#records.put(KIND.principal, tag, this.#sealing.seal(KIND.principal, tag, encodeRecord(record)));
    }
  }

  #sealNames(): void {
    for (const id of this.#lists.changed()) {
      const tag = this.#sealing.namesTag(id);
      const old = this.#records.get(KIND.names, tag);
      const text = old && this.#sealing.open(KIND.names, tag, old);
      // A damaged list is left to fsck, which drops it.
      if (old !== undefined && text === undefined) continue;
      const names = this.#lists.after(id, text === undefined ? [] : decodeNames(text).names);
      if (names.length > 0)
        this.#records.put(KIND.names, tag, this.#sealing.seal(KIND.names, tag, encodeRecord({ id, names })));
      else if (old !== undefined) this.#records.delete(KIND.names, tag);
    }
  }

  /** @throws CredentialError `TooLarge` */
  #digestAfter(changes: readonly Change[], before: Digest): Digest {
    const digest = new Digest(before.records, before.bytes);
    for (const change of changes) {
      const { kind, tag, body } = change;
      // A record that could not be read back must not replace one that can.
      if (body !== undefined && body.length > BODY_BYTES_MAX)
        throw new CredentialError('TooLarge', { limit: BODY_BYTES_MAX });
      const old = this.#records.before(change);
      if (old !== undefined) digest.remove(this.#sealing.fingerprint(kind, tag, old));
      if (body !== undefined) digest.add(this.#sealing.fingerprint(kind, tag, body));
    }
    return digest;
  }

  /**
   * Returns the inline value of a credential with its version, undefined if it has none or the stored record is that of
   * another credential of this name. The value is a view of a decrypted copy; the caller wipes it.
   */
  #inlineValue(
    record: CredentialRecord,
    tag: Uint8Array,
    body: Uint8Array,
  ): { version: number; value: Uint8Array } | undefined {
    const text = this.#sealing.open(KIND.credential, tag, body);
    if (text === undefined) return undefined;
    const value = inlineValueIn(text);
    if (value === undefined) return undefined;
    const stored = decodeCredential(text);
    if (stored.id === record.id) return { version: currentVersion(stored).version, value };
    wipe(text);
    return undefined;
  }

  #putValue(record: CredentialRecord, version: number, value: Uint8Array): void {
    const tag = this.#sealing.valueTag(record.id, version);
    // The id of a credential that this commit creates is new, so the store has no value under it, and no look-up is
    // needed.
    if (this.#newIds.has(record.id)) this.#records.noteAbsent(KIND.value, tag);
    this.#putSealed(KIND.value, tag, encodeValue({ space: record.space, name: record.name, version, value }));
  }

  /** Seals `text` and stores it, and wipes `text`. */
  #putSealed(kind: Kind, tag: Uint8Array, text: Uint8Array): void {
    try {
      this.#records.put(kind, tag, this.#sealing.seal(kind, tag, text));
    } finally {
      wipe(text);
    }
  }
}
