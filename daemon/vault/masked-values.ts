import { randomFillSync } from 'node:crypto';

import { KeyMemory } from './key-memory.ts';

/** Larger values are not kept. Nearly all passwords and access keys are smaller. */
const VALUE_BYTES_MAX = 256;
/** A host has some sets of some fields each. All that is locked stays below 64 KiB, which is the limit before Linux 5.16. */
const VALUES_MAX = 111;
/** Where there are more that are read, so many of them go by before one takes the place of another: most would not be read again in time. */
const PASSED_BY = 15;

interface MaskedValue {
  /** What it was kept for. */
  readonly of: object;
  readonly version: number;
  readonly masked: Uint8Array;
  readonly pad: Uint8Array;
}

/**
 * Values that are read again and again, each under a one-time pad: to open one of them is an exclusive or, where its record
 * in the store takes a look-up and a decryption.
 *
 * The pads are keys and live where keys do. So the memory of a process that is unlocked tells no more than it does by the
 * data key and the records, and once the pads are wiped, what was masked tells no more than its length.
 */
export class MaskedValues {
  readonly #pads: KeyMemory = new KeyMemory(VALUES_MAX + 1, VALUE_BYTES_MAX);
  readonly #values: Map<string, MaskedValue> = new Map();
  #passedBy = 0;
  /** Where a value is opened, in the memory of the pads; zeros between two calls. */
  readonly #opened: Uint8Array = this.#pads.allocate();

  /** The memory of the pads, and in which values are opened, for locking it. */
  get memory(): readonly Uint8Array[] {
    return [this.#pads.block];
  }

  /**
   * Keeps a value under a key in the place of any other one, where there is room; and now and then where there is none, in the
   * place of what was kept first.
   *
   * @param of what {@link openFor} must be given again
   * @param value stays the caller's
   */
  keep(key: string, of: object, version: number, value: Uint8Array): void {
    if (value.length > VALUE_BYTES_MAX) return;
    this.forget(key);
    if (!this.#pads.hasRoom && !this.#makeRoom()) return;
    const pad = this.#pads.allocate();
    const used = randomFillSync(pad.subarray(0, value.length));
    const masked = value.map((byte, index) => byte ^ (used[index] ?? 0));
    this.#values.set(key, { of, version, masked, pad });
  }

  /**
   * Calls `use` with a value that is kept.
   *
   * @param use may keep nothing of the value, which is wiped when it returns, and opens no other one meanwhile
   * @returns what `use` made of it; undefined where no such value is kept
   */
  openFor<T extends object>(key: string, of: object, version: number, use: (value: Uint8Array) => T): T | undefined {
    const value = this.#values.get(key);
    if (value?.of !== of || value.version !== version) return undefined;
    const { masked, pad } = value;
    const opened = this.#opened.subarray(0, masked.length);
    for (let index = 0; index < opened.length; index += 1) opened[index] = (masked[index] ?? 0) ^ (pad[index] ?? 0);
    try {
      return use(opened);
    } finally {
      opened.fill(0);
    }
  }

  /** Wipes the pad of a value. */
  forget(key: string): void {
    const value = this.#values.get(key);
    if (value === undefined) return;
    this.#values.delete(key);
    this.#pads.release(value.pad);
  }

  /** Wipes all pads. */
  wipe(): void {
    this.#pads.release(...[...this.#values.values()].map(({ pad }) => pad));
    this.#values.clear();
  }

  #makeRoom(): boolean {
    this.#passedBy = (this.#passedBy + 1) % (PASSED_BY + 1);
    if (this.#passedBy !== 0) return false;
    for (const oldest of this.#values.keys()) {
      this.forget(oldest);
      break;
    }
    return true;
  }
}
