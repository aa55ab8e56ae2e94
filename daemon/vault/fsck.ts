import type { Problem } from '../../src/protocol/interface.generated.ts';
import { KIND, StoreError, fixedTag } from '../store/sealed-store.ts';
import type { Kind, SealedRecord, SealedStore } from '../store/sealed-store.ts';
import { provenAdditions } from './added-credentials.ts';
import { epochTag } from './data-key.ts';
import { everyRecord } from './every-record.ts';
import type { Findings, IncompleteCredential } from './findings.ts';
import { Digest } from './head.ts';
import { ListedNames } from './listed-names.ts';
import { Principals } from './principals.ts';
import { openCredential, openHealth, openWithValue } from './reader.ts';
import { currentVersion, decodePrincipal, decodeValue, isSpace } from './records.ts';
import type { CredentialRecord, Space } from './records.ts';
import type { Sealing } from './sealing.ts';
import { decodeSlot } from './slots.ts';
import { SpaceSummaries } from './space-summaries.ts';
import type { SpaceSummary } from './space-summaries.ts';
import type { Unlocked } from './unlocked.ts';

/** Most problems that are reported. */
const PROBLEMS_MAX = 1000;

/** Most times that the whole store is read, in search of two that agree. */
const PASSES_MAX = 4;

/**
 * Reads and decrypts every record, and compares their number and digest with the head. Runs under `Vault.exclusive`, so
 * that nothing changes meanwhile.
 *
 * If it finds problems, it reads everything again from the disk until it finds the same twice in a row: the disk may
 * have returned wrong bytes once, and a repair would drop good records for that.
 *
 * @param pageDamage the damaged pages of the file; the store is asked for them unless they are given
 * @param requireWanted called before each record; throws if the caller no longer waits for the result
 */
export async function fsck(
  state: Unlocked,
  store: SealedStore,
  pageDamage?: readonly string[],
  requireWanted: () => void = () => undefined,
): Promise<Findings> {
  let found = await look(state, store, pageDamage, requireWanted);
  for (let passes = 1; found.problems.length > 0; passes += 1) {
    if (passes === PASSES_MAX) {
      found.unsettled();
      break;
    }
    store.dropCaches(0);
    const before = found.text();
    found = await look(state, store, pageDamage, requireWanted);
    if (found.text() === before) break;
  }
  return found;
}

async function look(
  state: Unlocked,
  store: SealedStore,
  pageDamage: readonly string[] | undefined,
  requireWanted: () => void,
): Promise<Check> {
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

/** The steps of {@link fsck}, in its order: each uses what the earlier ones have found. */
class Check implements Findings {
  readonly problems: Problem[] = [];
  isWhole = true;
  areInspected = true;
  /** Some records could not be read, so a record that was not found may exist all the same. */
  #isListingCut = false;
  #hasSlot = false;
  readonly #damagedSlots: SealedRecord[] = [];
  readonly digest: Digest = new Digest();
  /** The same as `digest`, without the records that were reported as added. */
  readonly #withoutAdded: Digest = new Digest();
  readonly unusable: SealedRecord[] = [];
  readonly #incomplete: Map<string, IncompleteCredential> = new Map();
  readonly #lists: ListedNames;
  readonly principals: Principals = new Principals();
  readonly #summaries: SpaceSummaries = new SpaceSummaries();
  readonly #sealing: Sealing;
  readonly #store: SealedStore;
  readonly #requireWanted: () => void;
  /** The tags of values that a credential refers to. */
  readonly #values: Set<string> = new Set();

  constructor(sealing: Sealing, store: SealedStore, requireWanted: () => void) {
    this.#lists = new ListedNames(sealing);
    this.#sealing = sealing;
    this.#store = store;
    this.#requireWanted = requireWanted;
  }

  get incomplete(): IncompleteCredential[] {
    return [...this.#incomplete.values()];
  }

  get unlisted(): CredentialRecord[] {
    return this.#lists.unlisted;
  }

  get namesWithoutCredential(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#lists.withoutCredential;
  }

  get spaces(): ReadonlyMap<Space, SpaceSummary> {
    return this.#summaries.bySpace;
  }

  report(problem: Problem): void {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(problem);
  }

  /** Returns a text that is the same for another check if that has found the same. */
  text(): string {
    return JSON.stringify([
      this.problems,
      this.digest.records,
      Buffer.from(this.digest.bytes).toString('hex'),
      this.unusable.map(({ kind, tag }) => `${kind} ${keyOf(tag)}`),
      this.incomplete.map(({ record, unreadable }) => [record.id, ...unreadable]),
    ]);
  }

  /** Reports that no two checks have found the same, so nothing may be repaired. */
  unsettled(): void {
    this.areInspected = false;
    const detail = 'each time the store was read, other records were damaged; until that ends, nothing is repaired';
    this.problems.unshift({ what: 'unchecked', detail });
  }

  async pages(found: readonly string[] | Promise<readonly string[]>): Promise<void> {
    try {
      const damage = await found;
      if (damage.length > 0) this.isWhole = false;
      for (const detail of damage) this.report({ what: 'page', detail });
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.areInspected = false;
      this.report({ what: 'unchecked', detail: `${error.message}; until they are checked, nothing is repaired` });
    }
  }

  /**
   * Checks all records of a kind. If a damaged page ends the listing, that is reported, and the next kind can be
   * checked.
   */
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

  /** Checks a kind that has exactly one record: any other was added by another program. */
  only(record: SealedRecord, tag: Uint8Array): void {
    if (Buffer.compare(record.tag, tag) === 0) return;
    this.#drop(record, { what: 'added', detail: 'a key or an id of the store that is not its current one' });
  }

  slot(record: SealedRecord): void {
    if (decodeSlot(record.tag, record.body) === undefined) this.#damagedSlots.push(record);
    else this.#hasSlot = true;
  }

  /** Drops damaged slots. If no slot is readable, they are only reported: the user may be able to repair one. */
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
    if (!this.#lists.read(sealed)) this.#drop(sealed, { what: 'record', detail: 'a list of names is damaged' });
  }

  credential(sealed: SealedRecord): void {
    const opened = openWithValue(this.#sealing, sealed.tag, sealed.body);
    if (opened === undefined) {
      this.#drop(sealed, { what: 'record', detail: 'the record of a credential is damaged' });
      return;
    }
    const { record, hasValue } = opened;
    const unlisted = this.#isListingCut ? undefined : this.#lists.strike(record);
    if (unlisted !== undefined) this.report(unlisted);
    const apart = hasValue ? record.versions.slice(0, -1) : record.versions;
    const unreadable = new Set(apart.map(({ version }) => version).filter((v) => !this.#checkValue(record, v)));
    if (unreadable.size > 0) this.#incomplete.set(record.id, { record, unreadable });
    if (!unreadable.has(currentVersion(record).version)) this.#summaries.add(record, unreadable);
  }

  /**
   * Reports names in lists that have no credential. The lists also name credentials that were deleted from the file
   * with all their values, of which nothing else is left.
   */
  listedNames(): void {
    if (this.#isListingCut) return;
    for (const { name, putBack } of this.#lists.missing()) {
      if (putBack !== undefined) this.#markOld(putBack);
      const detail =
        putBack === undefined
          ? 'the record of this credential is damaged, or was deleted from the file'
          : 'the record of this credential is from before it was removed, and was put back';
      this.report({ what: putBack === undefined ? 'missing' : 'record', name, detail });
    }
    const incomplete = Map.groupBy(this.#incomplete.values(), ({ record }) => record.space);
    for (const { principal, names } of this.principals.values()) {
      const space = principal as Space;
      const others = incomplete.get(space)?.map(({ record }) => record.name) ?? [];
      const present = new Set([...(this.spaces.get(space)?.names ?? []), ...others]);
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
      const detail = 'it is not one of the kept versions: it was dropped or removed, and put back';
      this.#drop(sealed, { what: 'added', name, version, detail });
    }
  }

  health(sealed: SealedRecord): void {
    const record = openHealth(this.#sealing, sealed.tag, sealed.body);
    if (record === undefined) {
      this.#drop(sealed, { what: 'record', detail: 'the validation result of a set is damaged' });
    } else if (!this.#isListingCut && !this.#summaries.hasSet(record)) {
      this.#drop(sealed, { what: 'added', detail: 'the validation result of a set of which nothing can be read' });
    }
  }

  /**
   * Drops removed credentials whose records another program put back. These are the credentials that no list of names
   * contains, provided that the digest without them matches that of the head. If it does not, it may be the list that
   * is old, and the credentials are kept.
   *
   * @param expected the digest of the head; undefined if the head is damaged
   */
  async addedCredentials(expected: Digest | undefined): Promise<void> {
    if (expected === undefined || this.#isListingCut) return;
    const shared = this.unlisted;
    let owned: CredentialRecord[];
    let added: SealedRecord[] | undefined;
    try {
      owned = this.#unknownToOwners();
      added = await this.#provenAdditions([...shared, ...owned], expected);
    } catch (error) {
      this.#reportUnreadable('records cannot be read again', error);
      return;
    }
    if (added === undefined) return;
    this.unusable.push(...added);
    const unreported = shared.filter((record) => this.#lists.isListLost(record));
    for (const record of [...shared, ...owned]) this.#takeOut(record);
    this.#lists.forget(shared);
    for (const { name } of [...unreported, ...owned]) {
      this.report({ what: 'added', name, detail: 'it was removed, and put back by another program' });
    }
  }

  #provenAdditions(credentials: readonly CredentialRecord[], expected: Digest): Promise<SealedRecord[] | undefined> {
    const counted = credentials.filter((record) => this.#isCounted(record));
    const suspects = { credentials, sets: this.#summaries.setsWithin(counted) };
    const rest = this.#withoutAdded;
    return provenAdditions(this.#store, this.#sealing, suspects, rest, expected, this.#requireWanted);
  }

  /** Reports lost lists, except for those that only a dropped credential referred to, see {@link addedCredentials}. */
  lostLists(): void {
    for (let { lost } = this.#lists; lost > 0; lost -= 1)
      this.report({ what: 'missing', detail: 'a list of names was deleted from the file' });
  }

  /**
   * Compares the record of each space with its credentials. Skipped if other problems were found: a missing or damaged
   * credential would not match either.
   */
  owners(): void {
    if (this.problems.length > 0) return;
    const spaces = [...this.principals.keys()].filter(isSpace);
    for (const space of new Set([...spaces, ...this.spaces.keys()])) {
      const known = this.principals.get(space);
      if (known === undefined) {
        this.report({
          what: 'missing',
          detail: `the record of ${space}, with its grants, was deleted from the file`,
        });
      } else if (!this.#summaries.matches(space, known)) {
        const detail = `the record of ${space}, with its grants, does not match its credentials: one of the two is out of date`;
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

  /** Reports that a part of the store cannot be read. @param error rethrown if it is not an error of the storage */
  #reportUnreadable(what: string, error: unknown): void {
    if (!(error instanceof StoreError)) throw error;
    this.isWhole = false;
    this.#isListingCut = true;
    this.report({ what: 'page', detail: `${what}: ${error.message}` });
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

  /** Returns the body of a value record; empty if it is on a damaged page, undefined if there is none. */
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

  #isValueOf(record: CredentialRecord, version: number, tag: Uint8Array): boolean {
    return Buffer.compare(this.#sealing.valueTag(record.id, version), tag) === 0;
  }

  /** Returns the credentials of users that their owners' records do not list. */
  #unknownToOwners(): CredentialRecord[] {
    return [...this.spaces].flatMap(([space, { names }]) => {
      const known = new Set(this.principals.get(space)?.names);
      return names.filter((name) => !known.has(name)).flatMap((name) => this.#recordOf(space, name) ?? []);
    });
  }

  /** Whether a credential is part of the summary of its space: its current value can be read. */
  #isCounted(record: CredentialRecord): boolean {
    return this.#incomplete.get(record.id)?.unreadable.has(currentVersion(record).version) !== true;
  }

  /** Removes a credential from the findings, as if it had not been found. */
  #takeOut(record: CredentialRecord): void {
    if (this.#isCounted(record))
      this.#summaries.subtract(record, this.#incomplete.get(record.id)?.unreadable ?? new Set());
    this.#incomplete.delete(record.id);
  }

  /**
   * Marks the current value of a credential as unreadable: its record was put back from an older copy, so the value
   * that was current last is not known.
   */
  #markOld(record: CredentialRecord): void {
    const { version } = currentVersion(record);
    const known = this.#incomplete.get(record.id) ?? { record, unreadable: new Set() };
    this.#incomplete.set(record.id, known);
    if (known.unreadable.has(version)) return;
    this.#summaries.subtract(record, known.unreadable);
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
