/** Length of every symmetric key, in bytes. */
export const KEY_BYTES = 32;

/**
 * Memory for keys: one block outside of V8's heap. V8 keeps small arrays on its heap, and its garbage collector moves
 * them and leaves the old bytes behind. Here, keys stay in one place, which can be wiped and locked.
 */
export class KeyMemory {
  readonly #block: Uint8Array;
  readonly #free: Uint8Array[];
  readonly #used: Set<Uint8Array> = new Set();

  /** @param keysMax the number of keys that fit, each of `keyBytes` */
  constructor(keysMax: number, keyBytes: number = KEY_BYTES) {
    const block = bytesOutsideHeap(keysMax * keyBytes);
    this.#block = block;
    this.#free = Array.from({ length: keysMax }, (_, index) =>
      block.subarray(index * keyBytes, (index + 1) * keyBytes),
    );
  }

  /** All of the memory, for locking it. */
  get block(): Uint8Array {
    return this.#block;
  }

  get hasRoom(): boolean {
    return this.#free.length > 0;
  }

  /**
   * Returns memory for a key, all zeros; the caller gives it back with {@link release}.
   *
   * @throws Error if there is no room
   */
  allocate(): Uint8Array {
    const key = this.#free.pop();
    if (key === undefined) throw new Error('too many keys are held');
    this.#used.add(key);
    return key;
  }

  /** Wipes keys and frees their memory. Keys that were not allocated here, or already released, are only wiped. */
  release(...keys: readonly (Uint8Array | undefined)[]): void {
    for (const key of keys) {
      key?.fill(0);
      if (key !== undefined && this.#used.delete(key)) this.#free.push(key);
    }
  }
}

/**
 * Returns zeroed memory outside of V8's heap, even for few bytes: for secrets that are wiped soon. It is not locked.
 */
export function bytesOutsideHeap(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(bytes));
}
