import type {
  Kind,
  SealedRecord,
  SealedSnapshot,
  SealedStore,
  SealedTransaction,
} from '../../daemon/store/sealed-store.ts';

/** A store that records how it is used, and that can be made to fail. */
export class CountingStore implements SealedStore {
  /** One line for every read, without the tag. */
  readonly reads: string[] = [];
  /** The records put, in order, committed or not. */
  readonly writes: SealedRecord[] = [];
  /** The number of committed transactions. */
  commits = 0;
  readonly #store: SealedStore;
  #failure: Error | undefined;

  constructor(store: SealedStore) {
    this.#store = store;
  }

  /** Makes every read throw this from now on. */
  failWith(failure: Error | undefined): void {
    this.#failure = failure;
  }

  get(kind: Kind, tag: Uint8Array): Uint8Array | undefined {
    this.reads.push(`get ${kind}`);
    if (this.#failure !== undefined) throw this.#failure;
    return this.#store.get(kind, tag);
  }

  list(kind: Kind, after: Uint8Array | undefined, limit: number): SealedRecord[] {
    this.reads.push(`list ${kind}`);
    if (this.#failure !== undefined) throw this.#failure;
    return this.#store.list(kind, after, limit);
  }

  dropCaches(ageMs: number): boolean {
    return this.#store.dropCaches(ageMs);
  }

  begin(expectedHead: Uint8Array | undefined): SealedTransaction {
    const transaction = this.#store.begin(expectedHead);
    return {
      ...transaction,
      put: (record) => {
        this.writes.push(record);
        transaction.put(record);
      },
      commit: (skipsCheckpoint) => {
        transaction.commit(skipsCheckpoint);
        this.commits += 1;
      },
    };
  }

  openSnapshot(): SealedSnapshot {
    return this.#store.openSnapshot();
  }

  purge(): void {
    this.#store.purge();
  }

  findPageDamage(): Promise<string[]> {
    return this.#store.findPageDamage();
  }

  copyBytes(): number {
    return this.#store.copyBytes();
  }

  copyTo(path: string): Promise<void> {
    return this.#store.copyTo(path);
  }

  close(): void {
    this.#store.close();
  }
}
