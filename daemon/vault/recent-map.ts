/**
 * A bounded map that lets go of what was not used lately: it has at least the `generation` entries that were used last,
 * and never more than twice as many.
 *
 * Two maps, of which the older one is dropped whole when the younger one is full. To delete the oldest entry of a `Map`
 * at every insertion takes longer the larger it is: V8 goes through the places of all that were deleted before.
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

  /** Counts as a use. */
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
