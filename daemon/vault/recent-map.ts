/**
 * A bounded map that drops entries not used recently: it keeps at least the last `generation` entries that were used,
 * and at most twice as many.
 *
 * It has two maps, and drops the whole older one when the younger one is full. Deleting the oldest entry of one `Map`
 * at each insertion would take longer the larger the map is, as V8 scans the slots of all entries that were deleted
 * before.
 */
export class RecentMap<V extends {}> {
  readonly #generation: number;
  #young: Map<string, V> = new Map();
  #old: Map<string, V> = new Map();

  constructor(generation: number) {
    this.#generation = generation;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Returns an entry, and counts that as a use of it. */
  get(key: string): V | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#generation) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#old.delete(key);
    this.#young.set(key, value);
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
