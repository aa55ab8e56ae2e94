/** The text that replaces a secret. */
export const MASK: Uint8Array = Buffer.from('<masked>');

/** Largest window of the search, in bytes, which limits how far it can skip ahead: more would not make it faster. */
const WINDOW_BYTES_MAX = 16;

/** Bytes of a block, the unit of the lookup tables, and the number of different blocks. */
const BLOCK_BYTES = 2;
const BLOCKS = 65_536;

/**
 * Replaces patterns in a stream of bytes, however it is cut into pieces (Wu and Manber, "A fast algorithm for
 * multi-pattern searching", 1994). Only bytes that may begin a pattern are held back.
 */
export class Masker {
  /** Bytes at the start of each pattern that are searched for; the rest is then compared. */
  readonly #window: number;
  /** By the block at the end of the window: how many bytes further on the next pattern can begin. */
  readonly #shift: Uint8Array;
  /** The patterns by the block that ends their window, longest first. */
  readonly #candidates = new Map<number, Uint8Array[]>();
  /** The patterns by their first byte. */
  readonly #beginnings = new Map<number, Uint8Array[]>();
  #held: Uint8Array = new Uint8Array(0);
  /** How many of the held bytes belong to a secret that is already masked. */
  #heldMasked = 0;
  #isAfterMask = false;

  /**
   * @param patterns two bytes or more each
   * @param before a masker that this one replaces in the middle of a stream
   */
  constructor(patterns: readonly Uint8Array[], before?: Masker) {
    if (before !== undefined) {
      this.#held = before.#held;
      this.#heldMasked = before.#heldMasked;
      this.#isAfterMask = before.#isAfterMask;
    }
    const sorted = patterns.toSorted((a, b) => b.length - a.length);
    this.#window = Math.min(WINDOW_BYTES_MAX, sorted.at(-1)?.length ?? WINDOW_BYTES_MAX);
    if (this.#window < BLOCK_BYTES) throw new RangeError('a pattern is too short');
    this.#shift = new Uint8Array(BLOCKS).fill(this.#window - BLOCK_BYTES + 1);
    for (const pattern of sorted) {
      for (let end = BLOCK_BYTES; end <= this.#window; end += 1) {
        const block = blockBefore(pattern, end);
        this.#shift[block] = Math.min(this.#shift[block] ?? 0, this.#window - end);
      }
      addTo(this.#candidates, blockBefore(pattern, this.#window), pattern);
      addTo(this.#beginnings, pattern[0] ?? 0, pattern);
    }
  }

  /** Whether bytes are held back until more follow. */
  get isHolding(): boolean {
    return this.#held.length > 0;
  }

  /** Takes the next bytes, and returns what can be shown so far. The result may share their memory. */
  push(bytes: Uint8Array): Uint8Array {
    return this.#run(this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]), false);
  }

  /** Returns the bytes held back, as none follow, or not in time. */
  flush(): Uint8Array {
    return this.#run(this.#held, true);
  }

  #run(text: Uint8Array, isFinal: boolean): Uint8Array {
    const shown: Uint8Array[] = [];
    const window = this.#window;
    let from = this.#heldMasked;
    let at = 0;
    while (at + window <= text.length) {
      const block = blockBefore(text, at + window);
      const shift = this.#shift[block] ?? 0;
      if (shift > 0) {
        at += shift;
        continue;
      }
      const found = this.#matchAt(text, at, block, isFinal);
      if (found === 'unfinished') break;
      if (found > 0) {
        this.#show(shown, text.subarray(from, at));
        // Adjacent and overlapping parts of a secret get one mask.
        if (!this.#isAfterMask) shown.push(MASK);
        this.#isAfterMask = true;
        from = Math.max(from, at + found);
      }
      at += 1;
    }
    const holdFrom = isFinal ? text.length : this.#beginOfPattern(text, at);
    this.#show(shown, text.subarray(from, holdFrom));
    this.#heldMasked = Math.max(0, from - holdFrom);
    this.#held = text.slice(holdFrom);
    const [only] = shown;
    return shown.length === 1 && only !== undefined ? only : Buffer.concat(shown);
  }

  #show(shown: Uint8Array[], plain: Uint8Array): void {
    if (plain.length === 0) return;
    shown.push(plain);
    this.#isAfterMask = false;
  }

  /** Returns the length of the longest pattern at a place, or `unfinished` if more bytes may complete a longer one. */
  #matchAt(text: Uint8Array, at: number, block: number, isFinal: boolean): number | 'unfinished' {
    for (const pattern of this.#candidates.get(block) ?? []) {
      const length = Math.min(pattern.length, text.length - at);
      if (!isEqualAt(text, at, pattern, length)) continue;
      if (length === pattern.length) return length;
      if (!isFinal) return 'unfinished';
    }
    return 0;
  }

  /** Returns where a pattern may begin in the last bytes, which are fewer than a window, or the end if none does. */
  #beginOfPattern(text: Uint8Array, from: number): number {
    for (let at = from; at < text.length; at += 1) {
      const length = text.length - at;
      const patterns = this.#beginnings.get(text[at] ?? 0) ?? [];
      if (patterns.some((pattern) => pattern.length > length && isEqualAt(text, at, pattern, length))) return at;
    }
    return text.length;
  }
}

function addTo(patterns: Map<number, Uint8Array[]>, key: number, pattern: Uint8Array): void {
  const known = patterns.get(key);
  if (known === undefined) patterns.set(key, [pattern]);
  else known.push(pattern);
}

function blockBefore(bytes: Uint8Array, end: number): number {
  return ((bytes[end - 2] ?? 0) << 8) | (bytes[end - 1] ?? 0);
}

function isEqualAt(text: Uint8Array, at: number, pattern: Uint8Array, length: number): boolean {
  for (let index = 0; index < length; index += 1) if (text[at + index] !== pattern[index]) return false;
  return true;
}
