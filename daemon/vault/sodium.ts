import { randomFillSync } from 'node:crypto';

import wrapper from 'libsodium-wrappers';

import { KEY_BYTES, KeyMemory, bytesOutsideHeap } from './key-memory.ts';
import { MaskedValues } from './masked-values.ts';
import { PublicRandom } from './public-random.ts';

const NONCE_BYTES = 24;
const MAC_BYTES = 16;
const KDF_CONTEXT_BYTES = 8;

/** Far more keys than are ever held at the same time: a rekey holds ten. */
const KEYS_MAX = 128;

/** Overhead of sealing, in bytes: the nonce before the ciphertext, and the Poly1305 tag after it. */
export const SEAL_BYTES: number = NONCE_BYTES + MAC_BYTES;

/** Calls whose inputs and output have at most this many bytes together use memory that is allocated once. */
const ARENA_BYTES = 16 * 1024;

/** Text lengths, with and without a partial last block, for the calls that locate the module's stack. */
const STACK_PROBES_BYTES: readonly number[] = [0, 1, 31, 32, 63, 64, 65, 127, 128, 129, 200, 255, 256, 257, 1000];

/** Upper bound for the end of the stack, which follows the module's constants and lies far below this address. */
const STACK_END_BYTES_MAX: number = 256 * 1024;

interface MemoryRange {
  readonly from: number;
  readonly to: number;
}

type NativeFunction = (...args: number[]) => number;

/**
 * The exports of libsodium's WebAssembly module that are used here. A 64-bit length takes two arguments, low and high.
 */
interface SodiumModule {
  /** A view of the module's memory; replaced by a new view whenever the memory grows. */
  readonly HEAPU8: Uint8Array;
  readonly _malloc: NativeFunction;
  readonly _free: NativeFunction;
  readonly _crypto_aead_xchacha20poly1305_ietf_encrypt: NativeFunction;
  readonly _crypto_aead_xchacha20poly1305_ietf_decrypt: NativeFunction;
  readonly _crypto_generichash: NativeFunction;
  readonly _crypto_kdf_derive_from_key: NativeFunction;
}

/**
 * The cryptographic primitives of the store: XChaCha20-Poly1305, keyed BLAKE2b and libsodium's KDF.
 *
 * This class calls libsodium's WebAssembly module directly. The wrapper's own functions copy keys and texts into the
 * module's memory and free these copies without wiping them. Here, every copy is wiped before the call returns, and so
 * is the module's stack, where libsodium leaves derived keys and the end of a decrypted text.
 */
export class Sodium {
  readonly #module: SodiumModule;
  readonly #arena: number;
  readonly #stack: MemoryRange;
  readonly #keys: KeyMemory = new KeyMemory(KEYS_MAX);
  /** Masked values of every store that is opened with this instance; wiped when the keys of any of these stores are. */
  readonly masked: MaskedValues = new MaskedValues();
  readonly #random: PublicRandom = new PublicRandom();

  private constructor(module: SodiumModule) {
    this.#module = module;
    this.#arena = module._malloc(ARENA_BYTES);
    module.HEAPU8.fill(0, this.#arena, this.#arena + ARENA_BYTES);
    this.#stack = { from: 0, to: 0 };
    this.#stack = this.#findStack();
  }

  /**
   * The memory that holds secrets, for locking it, most important first: the keys; the module's arena and stack, where
   * libsodium processes keys and texts; and the masked values.
   */
  get memory(): readonly Uint8Array[] {
    const heap = this.#module.HEAPU8;
    const { from, to } = this.#stack;
    return [
      this.#keys.block,
      heap.subarray(this.#arena, this.#arena + ARENA_BYTES),
      heap.subarray(from, to),
      ...this.masked.memory,
    ];
  }

  /** Loads libsodium. @throws Error if this build of libsodium-wrappers does not export its WebAssembly module */
  static async load(): Promise<Sodium> {
    await wrapper.ready;
    const module = (wrapper as unknown as { libsodium?: Partial<SodiumModule> }).libsodium;
    if (!isComplete(module)) throw new Error('this build of libsodium-wrappers does not export its module');
    return new Sodium(module);
  }

  /**
   * Encrypts and authenticates with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under a fresh random nonce.
   *
   * @param associated the associated data, which {@link open} must be given again
   * @returns nonce ‖ ciphertext ‖ tag
   */
  seal(key: Uint8Array, text: Uint8Array, associated: Uint8Array): Uint8Array {
    const sealedBytes = text.length + SEAL_BYTES;
    const total = KEY_BYTES + associated.length + text.length + sealedBytes;
    const k = this.#reserve(total);
    try {
      const heap = this.#module.HEAPU8;
      const ad = k + KEY_BYTES;
      const m = ad + associated.length;
      const nonce = m + text.length;
      heap.set(key, k);
      heap.set(associated, ad);
      heap.set(text, m);
      heap.set(this.#random.take(NONCE_BYTES), nonce);
      const encrypt = this.#module._crypto_aead_xchacha20poly1305_ietf_encrypt;
      encrypt(nonce + NONCE_BYTES, 0, m, text.length, 0, ad, associated.length, 0, 0, nonce, k);
      // A Buffer from Node's pool: an allocation of its own costs more than this copy, and ciphertext is not secret.
      return Buffer.from(heap.subarray(nonce, nonce + sealedBytes));
    } finally {
      this.#free(k, total);
    }
  }

  /**
   * Decrypts and authenticates the output of {@link seal}.
   *
   * @returns the text, which the caller owns and wipes; undefined if a byte of `sealed`, the key or `associated`
   *   differs
   */
  open(key: Uint8Array, sealed: Uint8Array, associated: Uint8Array): Uint8Array | undefined {
    return this.openFor(key, sealed, associated, (text) => text.slice());
  }

  /**
   * Like {@link open}, without a copy.
   *
   * @param use gets the text in the module's memory and must not keep any of it, as it is wiped when `use` returns.
   *   `use` must not call a method of this class that encrypts, decrypts, hashes or derives
   * @returns the result of `use`; undefined where {@link open} returns it
   */
  openFor<T>(key: Uint8Array, sealed: Uint8Array, associated: Uint8Array, use: (text: Uint8Array) => T): T | undefined {
    const textBytes = sealed.length - SEAL_BYTES;
    if (textBytes < 0) return undefined;
    const total = KEY_BYTES + associated.length + sealed.length + textBytes;
    const k = this.#reserve(total);
    try {
      const heap = this.#module.HEAPU8;
      const ad = k + KEY_BYTES;
      const nonce = ad + associated.length;
      const m = nonce + sealed.length;
      heap.set(key, k);
      heap.set(associated, ad);
      heap.set(sealed, nonce);
      const decrypt = this.#module._crypto_aead_xchacha20poly1305_ietf_decrypt;
      const cipherBytes = textBytes + MAC_BYTES;
      const status = decrypt(m, 0, 0, nonce + NONCE_BYTES, cipherBytes, 0, ad, associated.length, 0, nonce, k);
      return status === 0 ? use(heap.subarray(m, m + textBytes)) : undefined;
    } finally {
      this.#free(k, total);
    }
  }

  /**
   * Computes BLAKE2b (RFC 7693) of `message`, keyed with `key` of {@link KEY_BYTES}; `bytes`, 16 to 64, is the output
   * length.
   */
  keyedHash(key: Uint8Array, message: Uint8Array, bytes: number): Uint8Array {
    return this.#keyedHashFor(key, message, bytes, (hash) => hash.slice());
  }

  /**
   * Like {@link keyedHash}, with a key as the result, written straight to key memory. The caller {@link release}s it.
   */
  hashedKey(key: Uint8Array, message: Uint8Array): Uint8Array {
    return this.#keyedHashFor(key, message, KEY_BYTES, (hash) => this.copyKey(hash));
  }

  #keyedHashFor(
    key: Uint8Array,
    message: Uint8Array,
    bytes: number,
    use: (hash: Uint8Array) => Uint8Array,
  ): Uint8Array {
    const total = KEY_BYTES + message.length + bytes;
    const k = this.#reserve(total);
    try {
      const heap = this.#module.HEAPU8;
      const m = k + KEY_BYTES;
      const hash = m + message.length;
      heap.set(key, k);
      heap.set(message, m);
      this.#module._crypto_generichash(hash, bytes, m, message.length, 0, k, KEY_BYTES);
      return use(heap.subarray(hash, hash + bytes));
    } finally {
      this.#free(k, total);
    }
  }

  /** Returns a fresh random key. The caller {@link release}s it. */
  newKey(): Uint8Array {
    return randomFillSync(this.#keys.allocate());
  }

  /** Returns a copy of a key in key memory. The caller {@link release}s it. */
  copyKey(key: Uint8Array): Uint8Array {
    if (key.length !== KEY_BYTES) throw new RangeError('a key has 32 bytes');
    const copy = this.#keys.allocate();
    copy.set(key);
    return copy;
  }

  /**
   * Decrypts a sealed key, straight to key memory. The caller {@link release}s it.
   *
   * @returns undefined where {@link open} returns it, or if the length is not that of a key
   */
  openKey(key: Uint8Array, sealed: Uint8Array, associated: Uint8Array): Uint8Array | undefined {
    if (sealed.length !== KEY_BYTES + SEAL_BYTES) return undefined;
    return this.openFor(key, sealed, associated, (opened) => this.copyKey(opened));
  }

  /** Wipes keys and frees their places in key memory. */
  release(...keys: readonly (Uint8Array | undefined)[]): void {
    this.#keys.release(...keys);
  }

  /**
   * Derives a subkey with libsodium's `crypto_kdf`; `context` is 8 ASCII characters. The caller {@link release}s the
   * key.
   */
  deriveKey(key: Uint8Array, id: number, context: string): Uint8Array {
    if (context.length !== KDF_CONTEXT_BYTES) throw new RangeError('a KDF context has 8 characters');
    const subkey = this.#keys.allocate();
    const total = KEY_BYTES + KDF_CONTEXT_BYTES + KEY_BYTES;
    const k = this.#reserve(total);
    try {
      const heap = this.#module.HEAPU8;
      const c = k + KEY_BYTES;
      const out = c + KDF_CONTEXT_BYTES;
      heap.set(key, k);
      heap.set(Buffer.from(context, 'latin1'), c);
      this.#module._crypto_kdf_derive_from_key(out, KEY_BYTES, id, 0, c, k);
      subkey.set(heap.subarray(out, out + KEY_BYTES));
      return subkey;
    } finally {
      this.#free(k, total);
    }
  }

  /** Returns the address of module memory for one call: the arena if it is large enough. */
  #reserve(bytes: number): number {
    const base = bytes <= ARENA_BYTES ? this.#arena : this.#module._malloc(bytes);
    if (base === 0) throw new Error('libsodium is out of memory');
    return base;
  }

  /**
   * Locates the module's stack, whose address it does not export: the memory below the arena that changes when its
   * functions run. The functions keep no state there between calls.
   */
  #findStack(): MemoryRange {
    const end = Math.min(this.#arena, STACK_END_BYTES_MAX);
    const before = this.#module.HEAPU8.slice(0, end);
    for (const bytes of STACK_PROBES_BYTES) {
      const key = this.newKey();
      const text = randomBytes(bytes);
      this.open(key, this.seal(key, text, text), text);
      this.keyedHash(key, text, KEY_BYTES);
      this.release(key, this.deriveKey(key, 1, 'cio-none'));
    }
    const after = this.#module.HEAPU8.subarray(0, end);
    const isChanged = (byte: number, index: number): boolean => byte !== before[index];
    return { from: Math.max(0, after.findIndex(isChanged)), to: after.findLastIndex(isChanged) + 1 };
  }

  /** Wipes and frees the memory that {@link Sodium.#reserve} returned, and wipes the stack. */
  #free(base: number, bytes: number): void {
    this.#module.HEAPU8.fill(0, base, base + bytes);
    this.#module.HEAPU8.fill(0, this.#stack.from, this.#stack.to);
    if (base !== this.#arena) this.#module._free(base);
  }
}

/**
 * Returns fresh random bytes from the kernel, for ids, salts and the contents of key files. They lie outside V8's heap,
 * so they can be wiped.
 */
export function randomBytes(bytes: number): Uint8Array {
  return randomFillSync(bytesOutsideHeap(bytes));
}

/** Overwrites secrets with zeros. */
export function wipe(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}

function isComplete(module: Partial<SodiumModule> | undefined): module is SodiumModule {
  return (
    module?.HEAPU8 instanceof Uint8Array &&
    typeof module._malloc === 'function' &&
    typeof module._free === 'function' &&
    typeof module._crypto_aead_xchacha20poly1305_ietf_encrypt === 'function' &&
    typeof module._crypto_aead_xchacha20poly1305_ietf_decrypt === 'function' &&
    typeof module._crypto_generichash === 'function' &&
    typeof module._crypto_kdf_derive_from_key === 'function'
  );
}
