/** Bytes of a tag, of each half of a key, and of a block. */
export const TAG_BYTES = 16;

/** Numbers modulo 2^130 - 5 have ten limbs of 13 bits, so that a sum of ten products is exact in a double. */
const LIMBS = 10;
const LIMB_BITS = 13;
const LIMB_SIZE: number = 2 ** LIMB_BITS;

/**
 * Computes Poly1305 (RFC 8439, section 2.5), which neither node:crypto nor this build of libsodium offers on its own.
 *
 * No branch and no index depends on a secret, and intermediate values are wiped.
 *
 * @param r the multiplier, {@link TAG_BYTES} long, which is clamped here
 * @param s the number that is added at the end, {@link TAG_BYTES} long and never used for another message
 */
export function poly1305(r: Uint8Array, s: Uint8Array, message: Uint8Array): Uint8Array {
  if (r.length !== TAG_BYTES || s.length !== TAG_BYTES) throw new RangeError('a Poly1305 key has 2 × 16 bytes');
  const clamped = clamp(r);
  const multiplier = new Float64Array(LIMBS);
  addNumber(multiplier, clamped);
  // 2^130 is 5 modulo the prime, so a carry out of the top limb is added to the bottom one five times.
  const wrapped = multiplier.map((limb) => 5 * limb);
  const sum = new Float64Array(LIMBS);
  const product = new Float64Array(LIMBS);
  const block = new Uint8Array(TAG_BYTES + 1);
  for (let offset = 0; offset < message.length; offset += TAG_BYTES) {
    const part = message.subarray(offset, offset + TAG_BYTES);
    block.fill(0);
    block.set(part);
    block[part.length] = 1;
    addNumber(sum, block);
    multiply(product, sum, multiplier, wrapped);
    sum.set(product);
  }
  const tag = finish(sum, s);
  for (const secret of [clamped, multiplier, wrapped, sum, product, block]) secret.fill(0);
  return tag;
}

/** Returns `r` with the bits cleared as RFC 8439 requires, and a zero byte appended. */
function clamp(r: Uint8Array): Uint8Array {
  const clamped = new Uint8Array(TAG_BYTES + 1);
  clamped.set(r);
  for (const index of [3, 7, 11, 15]) clamped[index] = at(clamped, index) & 15;
  for (const index of [4, 8, 12]) clamped[index] = at(clamped, index) & 252;
  return clamped;
}

/** Adds a little-endian number of 17 bytes, limb by limb and without a carry. */
function addNumber(sum: Float64Array, bytes: Uint8Array): void {
  for (let limb = 0; limb < LIMBS; limb += 1) {
    const byte = (limb * LIMB_BITS) >> 3;
    const bits = at(bytes, byte) | (at(bytes, byte + 1) << 8) | (at(bytes, byte + 2) << 16);
    sum[limb] = at(sum, limb) + ((bits >> ((limb * LIMB_BITS) & 7)) & (LIMB_SIZE - 1));
  }
}

/**
 * Sets `product` to `a` · `multiplier` modulo the prime. Its limbs have 13 bits, except the second, which may be
 * slightly larger.
 */
function multiply(product: Float64Array, a: Float64Array, multiplier: Float64Array, wrapped: Float64Array): void {
  for (let limb = 0; limb < LIMBS; limb += 1) {
    let total = 0;
    for (let j = 0; j < LIMBS; j += 1) {
      total += at(a, j) * (j <= limb ? at(multiplier, limb - j) : at(wrapped, limb - j + LIMBS));
    }
    product[limb] = total;
  }
  wrap(product);
  const over = Math.floor(at(product, 0) / LIMB_SIZE);
  product[0] = at(product, 0) - over * LIMB_SIZE;
  product[1] = at(product, 1) + over;
}

/** Reduces every limb but the lowest to 13 bits, modulo the prime. */
function wrap(number: Float64Array): void {
  const over = carry(number);
  number[0] = at(number, 0) + 5 * over;
}

/** Reduces every limb to 13 bits, and returns the carry out of the top limb. */
function carry(number: Float64Array): number {
  let over = 0;
  for (let limb = 0; limb < LIMBS; limb += 1) {
    const total = at(number, limb) + over;
    over = Math.floor(total / LIMB_SIZE);
    number[limb] = total - over * LIMB_SIZE;
  }
  return over;
}

/** Returns the tag: the sum, fully reduced, plus `s`, modulo 2^128. */
function finish(sum: Float64Array, s: Uint8Array): Uint8Array {
  wrap(sum);
  // Adding 5 carries out of the top limb exactly if the sum is not below the prime; what remains is then sum - prime.
  const less = sum.slice();
  less[0] = at(less, 0) + 5;
  const isOver = carry(less);
  for (let limb = 0; limb < LIMBS; limb += 1) sum[limb] = at(sum, limb) + isOver * (at(less, limb) - at(sum, limb));
  less.fill(0);
  return addBytes(sum, s);
}

function addBytes(sum: Float64Array, s: Uint8Array): Uint8Array {
  const tag = new Uint8Array(TAG_BYTES);
  let limb = 0;
  let bits = 0;
  let held = 0;
  let over = 0;
  for (let byte = 0; byte < TAG_BYTES; byte += 1) {
    if (bits < 8) {
      held += at(sum, limb) * 2 ** bits;
      bits += LIMB_BITS;
      limb += 1;
    }
    const total = (held & 255) + at(s, byte) + over;
    tag[byte] = total & 255;
    over = total >> 8;
    held >>= 8;
    bits -= 8;
  }
  return tag;
}

/** Returns the element at an index that is within bounds by construction, which the compiler cannot know. */
function at(numbers: Float64Array | Uint8Array, index: number): number {
  return numbers[index] ?? 0;
}
