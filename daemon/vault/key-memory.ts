/** Length of every symmetric key, in bytes. */
export const KEY_BYTES = 32;

/** Far more keys than are ever held at a time: a rekey has ten. */
const KEYS_MAX = 128;

/**
 * Where keys live: one block outside of V8's heap. V8 keeps small arrays on its heap and moves them when it collects
 * garbage, and the bytes stay behind where they were; here they stay in one place, which can be wiped and locked.
 */
export class KeyMemory {
  readonly #block: Uint8Array = bytesOutsideHeap(KEYS_MAX * KEY_BYTES);
  readonly #free: Uint8Array[] = Array.from({ length: KEYS_MAX }, (_, index) =>
    this.#block.subarray(index * KEY_BYTES, (index + 1) * KEY_BYTES),
  );
  readonly #used: Set<Uint8Array> = new Set();

  /** All of the memory, for locking it. */
  get block(): Uint8Array {
    return this.#block;
  }

  /** A place for a key, all zeros; to be given back by {@link release}. */
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
