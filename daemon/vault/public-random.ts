import { randomFillSync } from 'node:crypto';

const POOL_BYTES = 4096;

/**
 * Random bytes of the kernel for what is no secret: nonces, ids. They are fetched many at once, since a call for each
 * costs more than what is done with them, and wait in this process's memory.
 */
export class PublicRandom {
  readonly #pool: Uint8Array = new Uint8Array(POOL_BYTES);
  #used = POOL_BYTES;

  /** Bytes that nobody was given before: a view that the caller copies at once, and at most 4096 of them. */
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
