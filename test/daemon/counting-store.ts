import type {
  Kind,
  SealedRecord,
  SealedSnapshot,
  SealedStore,
  SealedTransaction,
} from '../../daemon/store/sealed-store.ts';

/** A store that also tells what it was asked for, and that can be made to fail. */
export class CountingStore implements SealedStore {
  /** One line for every look into the store, without what was looked for. */
  readonly reads: string[] = [];
  /** What was put, in its order; committed or not. */
  readonly writes: SealedRecord[] = [];
  /** How many transactions were committed. */
  commits = 0;
  readonly #store: SealedStore;
  #failure: Error | undefined;

  constructor(store: SealedStore) {
    this.#store = store;
  }

  /** Throws this at every look into the store from now on. */
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

  begin(expectedHead: Uint8Array | undefined): SealedTransaction {
    const transaction = this.#store.begin(expectedHead);
    return {
      ...transaction,
      put: (record) => {
        this.writes.push(record);
        transaction.put(record);
      },
      commit: (isPurged) => {
        transaction.commit(isPurged);
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
