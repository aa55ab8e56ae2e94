import type { CachedReader, Kind, SealedRecord } from '../store/sealed-store.ts';

/** A change of one record: its new body, or undefined if the record is deleted. */
export type Change = {
  /** Identifies the record, and sorts like the keys of the store's b-tree. */
  readonly place: string;
} & (SealedRecord | { readonly kind: Kind; readonly tag: Uint8Array; readonly body: undefined });

/** Uncommitted changes, by place. */
type Changes = Map<string, Change>;

/**
 * The changes of records that one commit will make, and a view of the store as it is after them. The changes of a call
 * are kept or dropped as a whole. A committed record is read at most once, however often it is looked up and replaced.
 */
export class StagedRecords implements CachedReader {
  readonly #store: CachedReader;
  readonly #kept: Changes = new Map();
  readonly #changes: Changes = new Map();
  /** Committed bodies that were looked up, by place; undefined for a record that does not exist. */
  readonly #committed: Map<string, Uint8Array | undefined> = new Map();

  constructor(store: CachedReader) {
    this.#store = store;
  }

  get(kind: Kind, tag: Uint8Array): Uint8Array | undefined {
    const place = placeOf(kind, tag);
    const change = this.#changes.get(place) ?? this.#kept.get(place);
    return change === undefined ? this.#committedBody(place, kind, tag) : change.body;
  }

  /** Lists committed records only; see {@link listAll}. */
  list(kind: Kind, after: Uint8Array | undefined, limit: number): SealedRecord[] {
    return this.#store.list(kind, after, limit);
  }

  dropCaches(ageMs: number): boolean {
    if (!this.#store.dropCaches(ageMs)) return false;
    for (const [place, body] of this.#committed) if (body !== undefined) this.#committed.delete(place);
    return true;
  }

  /**
   * Lists the records of a kind that has few, changes included.
   *
   * @param limit the most committed records that are read
   */
  listAll(kind: Kind, limit: number): SealedRecord[] {
    const records = new Map(
      this.#store.list(kind, undefined, limit).map((record) => [placeOf(kind, record.tag), record]),
    );
    for (const change of [...this.#kept.values(), ...this.#changes.values()]) {
      if (change.kind !== kind) continue;
      if (change.body === undefined) records.delete(change.place);
      else records.set(change.place, change);
    }
    return [...records.values()];
  }

  put(kind: Kind, tag: Uint8Array, body: Uint8Array): void {
    const place = placeOf(kind, tag);
    this.#changes.set(place, { place, kind, tag, body });
  }

  delete(kind: Kind, tag: Uint8Array): void {
    const place = placeOf(kind, tag);
    this.#changes.set(place, { place, kind, tag, body: undefined });
  }

  /** Tells whether a committed record was looked up and does not exist. */
  isKnownAbsent(kind: Kind, tag: Uint8Array): boolean {
    return this.#isAbsent(placeOf(kind, tag));
  }

  /** Notes that the store has no such record, which saves the look-up. */
  noteAbsent(kind: Kind, tag: Uint8Array): void {
    this.#committed.set(placeOf(kind, tag), undefined);
  }

  /** Adds the changes since the last {@link keep} or {@link drop} to the commit. */
  keep(): void {
    for (const [place, change] of this.#changes) this.#kept.set(place, change);
    this.#changes.clear();
  }

  /** Discards the changes since the last {@link keep}. */
  drop(): void {
    this.#changes.clear();
  }

  get hasKept(): boolean {
    return this.#kept.size > 0;
  }

  /** Returns the kept changes in the order of the b-tree's keys, so that SQLite visits each page once. */
  kept(): Change[] {
    return [...this.#kept.values()].toSorted((one, other) => (one.place < other.place ? -1 : 1));
  }

  /** Returns the committed body that a change replaces; undefined if there is none. */
  before({ place, kind, tag }: Change): Uint8Array | undefined {
    return this.#committedBody(place, kind, tag);
  }

  #isAbsent(place: string): boolean {
    return this.#committed.get(place) === undefined && this.#committed.has(place);
  }

  #committedBody(place: string, kind: Kind, tag: Uint8Array): Uint8Array | undefined {
    const known = this.#committed.get(place);
    if (known !== undefined || this.#isAbsent(place)) return known;
    const body = this.#store.get(kind, tag);
    this.#committed.set(place, body);
    return body;
  }
}

function placeOf(kind: Kind, tag: Uint8Array): string {
  return `${kind}:${Buffer.from(tag.buffer, tag.byteOffset, tag.byteLength).toString('latin1')}`;
}
