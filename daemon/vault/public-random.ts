import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 4096;

/**
 * Random bytes from the kernel for values that are not secret: nonces, ids. They are fetched many at a time and
 * buffered in this process, since a call for each costs more than the operation that uses it.
 */
export class PublicRandom {
  readonly #pool: Uint8Array = new Uint8Array(POOL_BYTES);
  #used = POOL_BYTES;

  /** Returns fresh bytes, at most 4096, as a view that the caller must copy at once. */
  take(bytes: number): Uint8Array {
    if (this.#used + bytes > POOL_BYTES) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const from = this.#used;
    this.#used += bytes;
    return this.#pool.subarray(from, this.#used);
  }
}
