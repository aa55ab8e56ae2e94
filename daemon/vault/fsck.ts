import type { Problem } from '../../src/protocol/interface.generated.ts';
import { membershipOf } from '../../src/sets.ts';
import { KIND, StoreError, fixedTag } from '../store/sealed-store.ts';
import type { Kind, SealedRecord, SealedStore } from '../store/sealed-store.ts';
import { provenAdditions } from './added-credentials.ts';
import { epochTag } from './data-key.ts';
import { everyRecord } from './every-record.ts';
import { NOTHING } from './findings.ts';
import type { Findings, IncompleteCredential, SpaceSummary } from './findings.ts';
import { Digest } from './head.ts';
import { commitOf } from './name-lists.ts';
import { Principals } from './principals.ts';
import { openCredential, openHealth, openWithValue } from './reader.ts';
import { SHARED_SPACE, currentVersion, decodeNames, decodePrincipal, decodeValue, isSpace, setKey } from './records.ts';
import type { CredentialRecord, Space } from './records.ts';
import type { Sealing } from './sealing.ts';
import { decodeSlot } from './slots.ts';
import type { Unlocked } from './vault.ts';

/** Most problems that are told one by one. */
const PROBLEMS_MAX = 1000;

/**
 * Reads and opens every record, and compares their number and digest with the head. Works under `Vault.exclusive`, so
 * that nothing changes meanwhile.
 *
 * @param pageDamage what was found wrong with the pages of the file; asked of the store unless given
 * @param requireWanted throws where nobody waits for it any more; asked before each record
 */
export async function fsck(
  state: Unlocked,
  store: SealedStore,
  pageDamage?: readonly string[],
  requireWanted: () => void = () => undefined,
): Promise<Findings> {
  const check = new Check(state.sealing, store, requireWanted);
  await check.pages(pageDamage ?? store.findPageDamage());
  await check.each(KIND.store, (record) => check.only(record, fixedTag('store')));
  await check.each(KIND.slot, (record) => check.slot(record));
  check.damagedSlots();
  await check.each(KIND.dataKey, (record) => check.only(record, epochTag(state.sealing.epoch)));
  await check.each(KIND.principal, (record) => check.principal(record));
  await check.each(KIND.names, (record) => check.names(record));
  await check.each(KIND.credential, (record) => check.credential(record));
  check.listedNames();
  await check.each(KIND.value, (record) => check.strayValue(record));
  await check.each(KIND.health, (record) => check.health(record));
  await check.addedCredentials(state.head?.digest);
  check.lostLists();
  check.owners();
  check.head(state);
  return check;
}

class Check implements Findings {
  readonly problems: Problem[] = [];
  isWhole = true;
  areInspected = true;
  /** Records were passed over, so one that is not found may be there all the same. */
  #isListingCut = false;
  #hasSlot = false;
  readonly #damagedSlots: SealedRecord[] = [];
  readonly digest: Digest = new Digest();
  /** Over the same without what was added to the file. */
  readonly #withoutAdded: Digest = new Digest();
  readonly unusable: SealedRecord[] = [];
  readonly #incomplete: Map<string, IncompleteCredential> = new Map();
  readonly #unlisted: Map<string, CredentialRecord> = new Map();
  /** What was read of lists, less what there is a credential of. */
  readonly stale: Map<string, Set<string>> = new Map();
  /** Lists that credentials are to be in and that are not there. */
  readonly #lostLists: Set<string> = new Set();
  readonly #damagedLists: Set<string> = new Set();
  readonly principals: Principals = new Principals();
  readonly spaces: Map<Space, SpaceSummary> = new Map();
  readonly #sealing: Sealing;
  readonly #store: SealedStore;
  readonly #requireWanted: () => void;
  /** How much there is of sets, by set and owner. */
  readonly #sets: Map<string, number> = new Map();
  /** The tags of values that a credential refers to. */
  readonly #values: Set<string> = new Set();

  constructor(sealing: Sealing, store: SealedStore, requireWanted: () => void) {
    this.#sealing = sealing;
    this.#store = store;
    this.#requireWanted = requireWanted;
  }

  get incomplete(): IncompleteCredential[] {
    return [...this.#incomplete.values()];
  }

  get unlisted(): CredentialRecord[] {
    return [...this.#unlisted.values()];
  }

  report(problem: Problem): void {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(problem);
  }

  async pages(found: readonly string[] | Promise<readonly string[]>): Promise<void> {
    try {
      const damage = await found;
      if (damage.length > 0) this.isWhole = false;
      for (const detail of damage) this.report({ what: 'page', detail });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.areInspected = false;
      this.report({ what: 'unchecked', detail: `${error.message}; until it can, nothing is repaired` });
    }
  }

  /** Goes on with the next kind where a damaged page ends the reading of this one. */
  async each(kind: Kind, check: (record: SealedRecord) => void): Promise<void> {
    try {
      for await (const record of everyRecord(this.#store, kind)) {
        this.#requireWanted();
        const fingerprint = this.#fingerprint(record);
        this.digest.add(fingerprint);
        this.#withoutAdded.add(fingerprint);
        check(record);
      }
    } catch (error) {
      this.#reportUnreadable(`records of kind ${kind} cannot be read to their end`, error);
    }
  }

  /** Of some kinds there is one record, and one that was put beside it is not the daemon's. */
  only(record: SealedRecord, tag: Uint8Array): void {
    if (Buffer.compare(record.tag, tag) === 0) return;
    this.#drop(record, { what: 'added', detail: 'a key or an id of the store that is not its current one' });
  }

  slot(record: SealedRecord): void {
    if (decodeSlot(record.tag, record.body) === undefined) this.#damagedSlots.push(record);
    else this.#hasSlot = true;
  }

  /** Where no slot can be read, they stay: somebody may know how to repair one. */
  damagedSlots(): void {
    const problem: Problem = { what: 'record', detail: 'an unlock slot is damaged' };
    for (const slot of this.#damagedSlots) {
      if (this.#hasSlot) this.#drop(slot, problem);
      else this.report(problem);
    }
  }

  principal(record: SealedRecord): void {
    const text = this.#sealing.open(KIND.principal, record.tag, record.body);
    if (text === undefined) {
      this.#drop(record, { what: 'record', detail: 'a list of grants is damaged' });
      return;
    }
    const principal = decodePrincipal(text);
    this.principals.set(principal.principal, principal);
  }

  names(sealed: SealedRecord): void {
    const text = this.#sealing.open(KIND.names, sealed.tag, sealed.body);
    if (text === undefined) {
      this.#damagedLists.add(keyOf(sealed.tag));
      this.#drop(sealed, { what: 'record', detail: 'a list of names is damaged' });
      return;
    }
    const { id, names } = decodeNames(text);
    this.stale.set(id, new Set(names));
  }

  credential(sealed: SealedRecord): void {
    const opened = openWithValue(this.#sealing, sealed.tag, sealed.body);
    if (opened === undefined) {
      this.#drop(sealed, { what: 'record', detail: 'the record of a credential is damaged' });
      return;
    }
    const { record, hasValue } = opened;
    this.#checkListing(record);
    const apart = hasValue ? record.versions.slice(0, -1) : record.versions;
    const unreadable = new Set(apart.map(({ version }) => version).filter((v) => !this.#checkValue(record, v)));
    if (unreadable.size > 0) this.#incomplete.set(record.id, { record, unreadable });
    if (!unreadable.has(currentVersion(record).version)) this.#summarize(record, unreadable);
  }

  /** Lists of names have those of credentials that were deleted with all their values. */
  listedNames(): void {
    if (this.#isListingCut) return;
    const unlisted = new Map(this.unlisted.map((record) => [record.name, record]));
    for (const [id, names] of this.stale) {
      for (const name of names) {
        const record = unlisted.get(name);
        // The list is that of a credential of this name that was made after the one that is there.
        const isPutBack = record?.listed !== undefined && commitOf(record.listed) < commitOf(id);
        if (isPutBack) this.#markOld(record);
        const detail = isPutBack
          ? 'the record of this credential is that of one that was removed, and put back'
          : 'the record of this credential is damaged, or was deleted from the file';
        this.report({ what: isPutBack ? 'record' : 'missing', name, detail });
      }
    }
    const incomplete = this.incomplete;
    for (const { principal, names } of this.principals.values()) {
      const others = incomplete.filter(({ record }) => record.space === principal).map(({ record }) => record.name);
      const present = new Set([...(this.spaces.get(principal as Space)?.names ?? []), ...others]);
      for (const name of names.filter((listed) => !present.has(listed))) {
        this.report({ what: 'missing', name, detail: `it was deleted from the file (${principal})` });
      }
    }
  }

  strayValue(sealed: SealedRecord): void {
    if (this.#isListingCut || this.#values.has(keyOf(sealed.tag))) return;
    const text = this.#sealing.open(KIND.value, sealed.tag, sealed.body);
    if (text === undefined) {
      this.#drop(sealed, { what: 'record', detail: 'a damaged value belongs to no credential that can be read' });
      return;
    }
    const { space, name, version, value } = decodeValue(text);
    value.fill(0);
    const record = this.#recordOf(space, name);
    if (record === undefined) {
      const detail = 'the record of this credential is damaged, or was deleted from the file';
      this.#drop(sealed, { what: 'missing', name, version, detail });
    } else if (version >= currentVersion(record).version && this.#isValueOf(record, version, sealed.tag)) {
      this.#markOld(record);
      this.#drop(sealed, {
        what: 'record',
        name,
        version,
        detail: 'the record of this credential was put back from an older copy',
      });
    } else {
      const detail = 'it is none of the versions that are kept, but one that was dropped or removed and put back';
      this.#drop(sealed, { what: 'added', name, version, detail });
    }
  }

  health(sealed: SealedRecord): void {
    const record = openHealth(this.#sealing, sealed.tag, sealed.body);
    if (record === undefined) {
      this.#drop(sealed, { what: 'record', detail: 'what is known of the health of a set is damaged' });
    } else if (!this.#isListingCut && !this.#sets.get(setKey(record))) {
      this.#drop(sealed, { what: 'added', detail: 'the health of a set of which nothing can be read' });
    }
  }

  /**
   * Drops removed credentials whose records another program put back: those that no list of names has, provided that the
   * digest of the head fits once they are left out. If it does not, the list may be the old one, and they stay.
   *
   * @param expected the digest of the head; undefined where that is damaged
   */
  async addedCredentials(expected: Digest | undefined): Promise<void> {
    if (expected === undefined || this.#isListingCut) return;
    const shared = this.unlisted;
    const owned = this.#unknownToOwners();
    const suspects = [...shared, ...owned];
    const added = await provenAdditions(this.#store, this.#sealing, suspects, this.#withoutAdded, expected);
    if (added === undefined) return;
    this.unusable.push(...added);
    for (const record of suspects) this.#takeOut(record);
    const untold = shared.filter(({ listed }) => this.#lostLists.delete(listed ?? ''));
    for (const { name } of [...untold, ...owned]) {
      this.report({ what: 'added', name, detail: 'it was removed, and put back by another program' });
    }
  }

  /** Told when it is clear that they were there. */
  lostLists(): void {
    for (let lost = this.#lostLists.size; lost > 0; lost -= 1)
      this.report({ what: 'missing', detail: 'a list of names was deleted from the file' });
  }

  /**
   * Compares what the spaces know of themselves with what is there. Only where nothing else was found: a credential that is
   * missing or damaged does not fit either.
   */
  owners(): void {
    if (this.problems.length > 0) return;
    const spaces = [...this.principals.keys()].filter(isSpace);
    for (const space of new Set([...spaces, ...this.spaces.keys()])) {
      const known = this.principals.get(space);
      const { generation, count, names, bytes } = this.spaces.get(space) ?? NOTHING;
      if (known === undefined) {
        this.report({
          what: 'missing',
          detail: `what is known of ${space}, its grants too, was deleted from the file`,
        });
      } else if (
        known.count !== count ||
        known.bytes !== bytes ||
        known.generation < generation ||
        known.names.toSorted().join() !== names.toSorted().join()
      ) {
        const detail = `what is known of ${space}, its grants too, does not fit its credentials: one of the two is old`;
        this.report({ what: 'record', detail });
      }
    }
  }

  head(state: Unlocked): void {
    let headBody: Uint8Array | undefined;
    try {
      headBody = this.#store.get(KIND.head, fixedTag('head'));
    } catch (error) {
      this.#reportUnreadable('the head of the store cannot be read', error);
      return;
    }
    if (state.head === undefined || headBody === undefined || state.headBody === undefined) {
      this.report({ what: 'head', detail: 'the head of the store is damaged' });
    } else if (Buffer.compare(headBody, state.headBody) !== 0) {
      this.report({ what: 'head', detail: 'the head was changed by another program' });
    } else if (!this.#isListingCut && !this.digest.equals(state.head.digest)) {
      const difference = this.digest.records - state.head.digest.records;
      const records = Math.abs(difference) === 1 ? '1 record was' : `${Math.abs(difference)} records were`;
      if (difference < 0) this.report({ what: 'missing', detail: `${records} deleted from the file` });
      else if (difference > 0) this.report({ what: 'added', detail: `${records} added to the file` });
      else this.report({ what: 'head', detail: 'a record was changed, or put back from an older copy of the file' });
    }
  }

  /** @param error thrown again where the storage is not to blame */
  #reportUnreadable(what: string, error: unknown): void {
    if (!(error instanceof StoreError)) throw error;
    this.isWhole = false;
    this.#isListingCut = true;
    this.report({ what: 'page', detail: `${what}: ${error.message}` });
  }

  /** @param sign -1 takes out again what was put in */
  #summarize(record: CredentialRecord, unreadable: ReadonlySet<number>, sign: 1 | -1 = 1): void {
    const summary = this.spaces.get(record.space) ?? { generation: 0, count: 0, names: [], bytes: 0 };
    this.spaces.set(record.space, summary);
    summary.count += sign;
    const set = membershipOf(record.name)?.set;
    const key = set && setKey({ space: record.space, set });
    if (key !== undefined) this.#sets.set(key, (this.#sets.get(key) ?? 0) + sign);
    const isShared = record.space === SHARED_SPACE;
    if (!isShared && sign === 1) summary.names.push(record.name);
    else if (!isShared) summary.names.splice(summary.names.indexOf(record.name), 1);
    for (const { version, generation, size } of record.versions) {
      summary.generation = Math.max(summary.generation, generation);
      if (!isShared && !unreadable.has(version)) summary.bytes += sign * size;
    }
  }

  #checkValue(record: CredentialRecord, version: number): boolean {
    const tag = this.#sealing.valueTag(record.id, version);
    this.#values.add(keyOf(tag));
    const body = this.#readValue(tag);
    const text = body && this.#sealing.open(KIND.value, tag, body);
    text?.fill(0);
    if (text !== undefined) return true;
    const current = version === currentVersion(record).version ? 'the current value' : 'an older value';
    const detail = body === undefined ? `${current} was deleted from the file` : `${current} is damaged`;
    this.report({ what: body === undefined ? 'missing' : 'record', name: record.name, version, detail });
    return false;
  }

  /** Empty where it lies on a damaged page. */
  #readValue(tag: Uint8Array): Uint8Array | undefined {
    try {
      return this.#store.get(KIND.value, tag);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.isWhole = false;
      this.#isListingCut = true;
      return new Uint8Array(0);
    }
  }

  #recordOf(space: Space, name: string): CredentialRecord | undefined {
    const tag = this.#sealing.credentialTag(space, name);
    const body = this.#store.get(KIND.credential, tag);
    return body && openCredential(this.#sealing, tag, body);
  }

  #checkListing(record: CredentialRecord): void {
    const { listed, name } = record;
    if (listed === undefined || this.#isListingCut) return;
    const names = this.stale.get(listed);
    if (names?.delete(name) === true) return;
    this.#unlisted.set(record.id, record);
    if (names !== undefined) {
      const detail = 'its list of names does not have it: it was removed and put back, or the list is an older one';
      this.report({ what: 'added', name, detail });
    } else if (!this.#damagedLists.has(keyOf(this.#sealing.namesTag(listed)))) {
      this.#lostLists.add(listed);
    }
  }

  #isValueOf(record: CredentialRecord, version: number, tag: Uint8Array): boolean {
    return Buffer.compare(this.#sealing.valueTag(record.id, version), tag) === 0;
  }

  /** Credentials of users that their owners' records do not name. */
  #unknownToOwners(): CredentialRecord[] {
    return [...this.spaces].flatMap(([space, { names }]) => {
      const known = new Set(this.principals.get(space)?.names);
      return names.filter((name) => !known.has(name)).flatMap((name) => this.#recordOf(space, name) ?? []);
    });
  }

  /** As if it had not been found. */
  #takeOut(record: CredentialRecord): void {
    const unreadable = this.#incomplete.get(record.id)?.unreadable;
    this.#incomplete.delete(record.id);
    this.#unlisted.delete(record.id);
    if (unreadable?.has(currentVersion(record).version) !== true) this.#summarize(record, unreadable ?? new Set(), -1);
  }

  /** What was current when a credential was changed last is not known: what its record says is current is older. */
  #markOld(record: CredentialRecord): void {
    const { version } = currentVersion(record);
    const known = this.#incomplete.get(record.id) ?? { record, unreadable: new Set() };
    this.#incomplete.set(record.id, known);
    if (known.unreadable.has(version)) return;
    this.#summarize(record, known.unreadable, -1);
    known.unreadable.add(version);
  }

  #drop(record: SealedRecord, problem: Problem): void {
    this.unusable.push({ ...record, body: new Uint8Array(0) });
    this.report(problem);
    if (problem.what === 'added') this.#withoutAdded.remove(this.#fingerprint(record));
  }

  #fingerprint({ kind, tag, body }: SealedRecord): Uint8Array {
    return this.#sealing.fingerprint(kind, tag, body);
  }
}

function keyOf(tag: Uint8Array): string {
  return Buffer.from(tag).toString('latin1');
}
