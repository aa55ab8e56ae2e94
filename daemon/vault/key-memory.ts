/** Length of every symmetric key, in bytes. */
export const KEY_BYTES = 32;

/**
 * Where keys live: one block outside of V8's heap. V8 keeps small arrays on its heap and moves them when it collects
 * garbage, and the bytes stay behind where they were; here they stay in one place, which can be wiped and locked.
 */
export class KeyMemory {
  readonly #block: Uint8Array;
  readonly #free: Uint8Array[];
  readonly #used: Set<Uint8Array> = new Set();

  /** @param keysMax how many keys it has room for, each of `keyBytes` */
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

  /** A place for a key, all zeros; to be given back by {@link release}. @throws Error where it has no room */
  allocate(): Uint8Array {
    const key = this.#free.pop();
    if (key === undefined) throw new Error('too many keys are held');
    this.#used.add(key);
    return key;
  }

  /** Wipes keys. What was not allocated here, or was released before, is wiped and nothing more. */
  release(...keys: readonly (Uint8Array | undefined)[]): void {
    for (const key of keys) {
      key?.fill(0);
      if (key !== undefined && this.#used.delete(key)) this.#free.push(key);
    }
  }
}

/** Zeros outside of V8's heap, however few: for what is wiped in a moment. It is not locked. */
export function bytesOutsideHeap(bytes: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(bytes));
}
