import { CredentialError } from '../../src/errors.ts';
import { BODY_BYTES_MAX, KIND, fixedTag } from '../store/sealed-store.ts';
import type { Kind, SealedReader, SealedRecord, SealedStore } from '../store/sealed-store.ts';
import { isSameGrant } from './grant-index.ts';
import { Digest, encodeHead } from './head.ts';
import type { Head } from './head.ts';
import { NameLists } from './name-lists.ts';
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

/** Collects the changes of one call. Reads include its own writes, and those of earlier calls in the same commit. */
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

type Change = SealedRecord | { readonly kind: Kind; readonly tag: Uint8Array; readonly body: undefined };

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

/** Uncommitted changes, by place ({@link placeOf}). */
type Changes = Map<string, Change>;

/**
 * Collects the changes of several calls for one commit. The changes of a call are kept or dropped as a whole: a call
 * that is refused leaves none of its changes behind.
 */
export class VaultTransaction implements VaultWriter {
  readonly #store: SealedStore;
  readonly #sealing: Sealing;
  readonly #kept: Changes = new Map();
  /** Committed bodies that were looked up, by place; undefined for a record that does not exist. */
  readonly #committed: Map<string, Uint8Array | undefined> = new Map();
  /** Ids of credentials that are not in the store yet. */
  readonly #newIds: Set<string> = new Set();
  readonly #committedPrincipals: Principals;
  readonly #reader: VaultReader;
  readonly #keptPrincipals: Map<PrincipalId, PrincipalRecord> = new Map();
  readonly #keptCredentials: CredentialRecord[] = [];
  #changedCredentials: CredentialRecord[] = [];
  readonly #keptHealths: HealthRecord[] = [];
  #changedHealths: HealthRecord[] = [];
  readonly #changes: Changes = new Map();
  readonly #principals: Map<PrincipalId, PrincipalRecord> = new Map();
  readonly #touched: Set<Space> = new Set();
  readonly #lists: NameLists;

  /**
   * @param principals the committed principals; the transaction does not change them
   * @param commits the number of commits so far
   */
  constructor(store: SealedStore, sealing: Sealing, principals: Principals, commits: number) {
    this.#lists = new NameLists(commits + 1);
    this.#store = store;
    this.#sealing = sealing;
    this.#committedPrincipals = principals;
    this.#reader = new OpeningReader(this.#overlay, sealing, principals);
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
    return this.#principals.get(id) ?? this.#keptPrincipals.get(id) ?? this.#committedPrincipals.get(id);
  }

  *principals(): Generator<PrincipalRecord, void, undefined> {
    for (const id of new Set([
      ...this.#committedPrincipals.keys(),
      ...this.#keptPrincipals.keys(),
      ...this.#principals.keys(),
    ])) {
      yield this.principal(id) ?? emptyPrincipal(id);
    }
  }

  grantees(space: Space, kind: GrantEntry['kind'], target: string): ReadonlyMap<PrincipalId, GrantEntry> {
    const wanted = { space, kind, target };
    const grantees = new Map(this.#committedPrincipals.grants.grantees(space, kind, target));
    for (const { id, grants } of this.#changedGrants()) {
      const grant = grants.find((given) => isSameGrant(given, wanted));
      if (grant === undefined) grantees.delete(id);
      else grantees.set(id, grant);
    }
    return grantees;
  }

  grantsGiven(space: Space): number {
    const count = (grants: readonly GrantEntry[]): number => grants.filter((grant) => grant.space === space).length;
    let given = this.#committedPrincipals.grants.given(space);
    for (const { grants, before } of this.#changedGrants()) given += count(grants) - count(before);
    return given;
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
    if (this.#isKnownAbsent(placeOf(KIND.credential, tag))) this.#newIds.add(record.id);
    const { version } = currentVersion(record);
    const stored = this.#overlay.get(KIND.credential, tag);
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
    this.#delete(KIND.credential, this.#sealing.credentialTag(record.space, record.name));
    if (record.listed !== undefined) this.unlist(record.listed, record.name);
  }

  deleteValue(record: CredentialRecord, version: number): void {
    this.#delete(KIND.value, this.#sealing.valueTag(record.id, version));
  }

  /** Removes a name from a list of names. */
  unlist(id: string, name: string): void {
    this.#lists.remove(id, name);
  }

  /** Deletes a record that cannot be decrypted or belongs to nothing any more. */
  deleteRecord(kind: Kind, tag: Uint8Array): void {
    this.#delete(kind, tag);
  }

  putHealth(record: HealthRecord): void {
    this.#changedHealths.push(record);
    const tag = this.#sealing.healthTag(record.space, record.set);
    this.#put(KIND.health, tag, this.#sealing.seal(KIND.health, tag, encodeRecord(record)));
  }

  deleteHealth(space: Space, set: string): void {
    const tag = this.#sealing.healthTag(space, set);
    if (this.#overlay.get(KIND.health, tag) !== undefined) this.#delete(KIND.health, tag);
  }

  putPrincipal(record: PrincipalRecord): void {
    this.#principals.set(record.principal, record);
  }

  slots(): SlotRecord[] {
    const bodies = new Map(
      this.#store.list(KIND.slot, undefined, SLOTS_READ_MAX).map(({ tag, body }) => [textOf(tag), body]),
    );
    for (const { kind, tag, body } of [...this.#kept.values(), ...this.#changes.values()]) {
      if (kind !== KIND.slot) continue;
      if (body === undefined) bodies.delete(textOf(tag));
      else bodies.set(textOf(tag), body);
    }
    return [...bodies].flatMap(([id, body]) => decodeSlot(Buffer.from(id), body) ?? []);
  }

  putSlot(slot: SlotRecord): void {
    this.#put(KIND.slot, Buffer.from(slot.id), encodeSlot(slot));
  }

  deleteSlot(id: string): void {
    this.#delete(KIND.slot, Buffer.from(id));
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
    for (const [place, change] of this.#changes) this.#kept.set(place, change);
    for (const [id, principal] of this.#principals) this.#keptPrincipals.set(id, principal);
    for (const record of this.#changedCredentials) this.#keptCredentials.push(record);
    for (const record of this.#changedHealths) this.#keptHealths.push(record);
    this.#lists.keep();
    this.drop();
  }

  /** Discards the changes since the last {@link keep}. */
  drop(): void {
    this.#changes.clear();
    this.#principals.clear();
    this.#touched.clear();
    this.#changedCredentials = [];
    this.#changedHealths = [];
    this.#lists.drop();
  }

  get hasChanges(): boolean {
    return this.#kept.size > 0 || this.#keptPrincipals.size > 0;
  }

  /**
   * Makes all kept changes durable, in one transaction of the store.
   *
   * @throws StoreError; CredentialError `TooLarge` if a record is larger than {@link BODY_BYTES_MAX}
   */
  commit(head: Head, headBody: Uint8Array | undefined): Committed {
    this.#sealPrincipals();
    this.#sealNames();
    const digest = new Digest(head.digest.records, head.digest.bytes);
    let hasDeletes = false;
    // In the order of the b-tree's keys, so that SQLite visits each page once.
    const changes = [...this.#kept].toSorted(([place], [other]) => (place < other ? -1 : 1));
    for (const [place, { kind, tag, body }] of changes) {
      // A record that could not be read back must not replace one that can.
      if (body !== undefined && body.length > BODY_BYTES_MAX)
        throw new CredentialError('TooLarge', { limit: BODY_BYTES_MAX });
      const old = this.#committedBody(place, kind, tag);
      if (old !== undefined) digest.remove(this.#sealing.fingerprint(kind, tag, old));
      if (body !== undefined) digest.add(this.#sealing.fingerprint(kind, tag, body));
      // A value that is stored inline has no record of its own to delete: the record of its credential is replaced.
      hasDeletes ||= body === undefined;
    }
    const nextHead = { commits: head.commits + 1, digest };
    const headTag = fixedTag('head');
    const nextHeadBody = this.#sealing.seal(KIND.head, headTag, encodeHead(nextHead));
    const transaction = this.#store.begin(headBody);
    try {
      for (const [, change] of changes) {
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
      principals: [...this.#keptPrincipals.values()],
      changed: this.#keptCredentials,
      healths: this.#keptHealths,
      hasDeletes,
    };
  }

  #sealPrincipals(): void {
    for (const [id, record] of this.#keptPrincipals) {
      const tag = this.#sealing.principalTag(id);
      const body = isEmptyPrincipal(record) ? undefined : this.#sealing.seal(KIND.principal, tag, encodeRecord(record));
      this.#kept.set(placeOf(KIND.principal, tag), { kind: KIND.principal, tag, body });
    }
  }

  #sealNames(): void {
    for (const id of this.#lists.changed()) {
      const tag = this.#sealing.namesTag(id);
      const place = placeOf(KIND.names, tag);
      const old = this.#overlay.get(KIND.names, tag);
      const text = old && this.#sealing.open(KIND.names, tag, old);
      // A damaged list is left to fsck, which drops it.
      if (old !== undefined && text === undefined) continue;
      const names = this.#lists.after(id, text === undefined ? [] : decodeNames(text).names);
      if (old === undefined && names.length === 0) continue;
      const body = names.length === 0 ? undefined : this.#sealing.seal(KIND.names, tag, encodeRecord({ id, names }));
      this.#kept.set(place, { kind: KIND.names, tag, body });
    }
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
    if (this.#newIds.has(record.id)) this.#committed.set(placeOf(KIND.value, tag), undefined);
    this.#putSealed(KIND.value, tag, encodeValue({ space: record.space, name: record.name, version, value }));
  }

  /** Seals `text` and stores it, and wipes `text`. */
  #putSealed(kind: Kind, tag: Uint8Array, text: Uint8Array): void {
    try {
      this.#put(kind, tag, this.#sealing.seal(kind, tag, text));
    } finally {
      wipe(text);
    }
  }

  /**
   * Yields the principals whose grants changed. A change of anything else keeps the same array, so comparing references
   * is enough.
   */
  *#changedGrants(): Generator<{ id: PrincipalId; grants: readonly GrantEntry[]; before: readonly GrantEntry[] }> {
    for (const id of new Set([...this.#keptPrincipals.keys(), ...this.#principals.keys()])) {
      const [grants, before] = [this.principal(id)?.grants ?? [], this.#committedPrincipals.get(id)?.grants ?? []];
      if (grants !== before) yield { id, grants, before };
    }
  }

  #put(kind: Kind, tag: Uint8Array, body: Uint8Array): void {
    this.#changes.set(placeOf(kind, tag), { kind, tag, body });
  }

  #delete(kind: Kind, tag: Uint8Array): void {
    this.#changes.set(placeOf(kind, tag), { kind, tag, body: undefined });
  }

  /** Whether a record was looked up before and does not exist. */
  #isKnownAbsent(place: string): boolean {
    return this.#committed.get(place) === undefined && this.#committed.has(place);
  }

  #committedBody(place: string, kind: Kind, tag: Uint8Array): Uint8Array | undefined {
    const known = this.#committed.get(place);
    if (known !== undefined || this.#isKnownAbsent(place)) return known;
    const body = this.#store.get(kind, tag);
    this.#committed.set(place, body);
    return body;
  }

  readonly #overlay: SealedReader = {
    get: (kind, tag) => {
      const place = placeOf(kind, tag);
      const change = this.#changes.get(place) ?? this.#kept.get(place);
      return change === undefined ? this.#committedBody(place, kind, tag) : change.body;
    },
    list: (kind, after, limit) => this.#store.list(kind, after, limit),
  };
}

function placeOf(kind: Kind, tag: Uint8Array): string {
  return `${kind}:${Buffer.from(tag.buffer, tag.byteOffset, tag.byteLength).toString('latin1')}`;
}

function textOf(tag: Uint8Array): string {
  return Buffer.from(tag.buffer, tag.byteOffset, tag.byteLength).toString();
}
