import { randomFillSync } from 'node:crypto';

import { KeyMemory } from './key-memory.ts';

/** Larger values are not kept. Nearly all passwords and access keys are smaller. */
const VALUE_BYTES_MAX = 256;
/**
 * A host has a few sets with a few fields each. With this number, all locked memory together stays below 64 KiB, the
 * default limit before Linux 5.16.
 */
const VALUES_MAX = 111;
/**
 * How many values are turned away between two that replace another one when there is no room: with more values in use
 * than fit, most would be replaced before they are read again.
 */
const REJECTIONS_PER_REPLACEMENT = 15;

interface MaskedValue {
  /** The object that it belongs to: the decoded record of its credential. */
  readonly of: object;
  readonly version: number;
  readonly masked: Uint8Array;
  readonly pad: Uint8Array;
}

/**
 * Values that are read repeatedly, each XORed with a one-time pad: unmasking is one XOR, while reading the record takes
 * a look-up and a decryption.
 *
 * The pads are keys and live in key memory. So the memory of an unlocked process reveals no more than the data key and
 * the records do anyway, and once the pads are wiped, a masked value reveals only its length.
 */
export class MaskedValues {
  readonly #pads: KeyMemory = new KeyMemory(VALUES_MAX + 1, VALUE_BYTES_MAX);
  readonly #values: Map<string, MaskedValue> = new Map();
  #rejections = 0;
  /** Buffer for the unmasked value, in the memory of the pads; all zeros between calls. */
  readonly #opened: Uint8Array = this.#pads.allocate();

  /** The memory of the pads and of the unmasked value, for locking it. */
  get memory(): readonly Uint8Array[] {
    return [this.#pads.block];
  }

  /**
   * Keeps a value under `key`, and replaces an earlier one of that key. If there is no room, the value is usually
   * turned away; one in `REJECTIONS_PER_REPLACEMENT + 1` replaces the oldest value.
   *
   * @param of the object that {@link openFor} must be given again
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
   * Calls `use` with a kept value.
   *
   * @param use must not keep any of the value, which is wiped when `use` returns, and must not call this method
   * @returns the result of `use`; undefined if no such value is kept
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

  /** Drops a value and wipes its pad. */
  forget(key: string): void {
    const value = this.#values.get(key);
    if (value === undefined) return;
    this.#values.delete(key);
    this.#pads.release(value.pad);
  }

  /** Drops all values and wipes their pads. */
  wipe(): void {
    this.#pads.release(...[...this.#values.values()].map(({ pad }) => pad));
    this.#values.clear();
  }

  #makeRoom(): boolean {
    this.#rejections = (this.#rejections + 1) % (REJECTIONS_PER_REPLACEMENT + 1);
    if (this.#rejections !== 0) return false;
    for (const oldest of this.#values.keys()) {
      this.forget(oldest);
      break;
    }
    return true;
  }
}
