import { KIND } from '../store/sealed-store.ts';
import type { Kind } from '../store/sealed-store.ts';
import { pad, unpad } from './padding.ts';
import type { MaskedValues } from './masked-values.ts';
import type { PrincipalId, Space } from './records.ts';
import type { Sodium } from './sodium.ts';
import { wipe } from './sodium.ts';

/** Length of the store's id and of a computed tag, in bytes. */
export const ID_BYTES = 16;
/** Length of a record's fingerprint, and of the digest in the head, in bytes. */
export const DIGEST_BYTES = 32;

const KDF_CONTEXT = 'cio-data';
const ASSOCIATED_MAGIC = 'cio-record-1';
/** magic ‖ store id ‖ epoch (u32) ‖ kind (u8) ‖ tag, the last padded with zeros */
const ASSOCIATED_BYTES: number = ASSOCIATED_MAGIC.length + ID_BYTES + 4 + 1 + ID_BYTES;
/** Padded texts above this size get a buffer of their own instead of the shared scratch buffer. */
const SCRATCH_BYTES = 2048;

/**
 * Seals and opens the records of one store under one data key, as docs/file-format.md describes.
 *
 * There are three subkeys: one computes tags, one seals bodies, one computes the fingerprints for the digest of the
 * head. The associated data binds a body to the store, the key epoch, and the kind and tag of the record. The tag
 * stands for the record's identity; the identity of a value is its credential and version. So no body can be decrypted
 * in the place of another record.
 */
export class Sealing {
  readonly storeId: Uint8Array;
  readonly epoch: number;
  readonly #sodium: Sodium;
  readonly #tagKey: Uint8Array;
  readonly #sealKey: Uint8Array;
  readonly #digestKey: Uint8Array;
  readonly #associated: Buffer;
  /**
   * The last credential tag computed. Storing a credential looks it up first, so the same tag is needed several times
   * in a row.
   */
  #lastCredential: { readonly identity: string; readonly tag: Uint8Array } | undefined;
  /** Masked copies of the values that are read often. */
  readonly masked: MaskedValues;
  /** Scratch buffer for padded texts; all zeros between calls. */
  readonly #scratch: Uint8Array = new Uint8Array(SCRATCH_BYTES);

  /** Derives the subkeys, which live until {@link wipe}. `dataKey` stays the caller's, who wipes it. */
  constructor(sodium: Sodium, storeId: Uint8Array, epoch: number, dataKey: Uint8Array) {
    this.#sodium = sodium;
    this.storeId = storeId;
    this.epoch = epoch;
    this.masked = sodium.masked;
    this.#tagKey = sodium.deriveKey(dataKey, 1, KDF_CONTEXT);
    this.#sealKey = sodium.deriveKey(dataKey, 2, KDF_CONTEXT);
    this.#digestKey = sodium.deriveKey(dataKey, 3, KDF_CONTEXT);
    this.#associated = Buffer.alloc(ASSOCIATED_BYTES);
    this.#associated.write(ASSOCIATED_MAGIC, 'latin1');
    this.#associated.set(storeId, ASSOCIATED_MAGIC.length);
    this.#associated.writeUInt32BE(epoch, ASSOCIATED_MAGIC.length + ID_BYTES);
  }

  credentialTag(space: Space, name: string): Uint8Array {
    const identity = `${space}\0${name}`;
    if (this.#lastCredential?.identity === identity) return this.#lastCredential.tag;
    const tag = this.#tag(KIND.credential, identity);
    this.#lastCredential = { identity, tag };
    return tag;
  }

  valueTag(credentialId: string, version: number): Uint8Array {
    return this.#tag(KIND.value, `${credentialId}\0${version}`);
  }

  healthTag(space: Space, set: string): Uint8Array {
    return this.#tag(KIND.health, `${space}\0${set}`);
  }

  namesTag(id: string): Uint8Array {
    return this.#tag(KIND.names, id);
  }

  principalTag(principal: PrincipalId): Uint8Array {
    return this.#tag(KIND.principal, principal);
  }

  /** Pads and encrypts the text of a record. @param text stays the caller's */
  seal(kind: Kind, tag: Uint8Array, text: Uint8Array): Uint8Array {
    const padded = pad(text, this.#scratch);
    try {
      return this.#sodium.seal(this.#sealKey, padded, this.#associate(kind, tag));
    } finally {
      wipe(padded);
    }
  }

  /**
   * Decrypts the body of a record.
   *
   * @returns the text, which the caller owns and wipes; undefined if the body was not sealed for this kind and tag
   */
  open(kind: Kind, tag: Uint8Array, body: Uint8Array): Uint8Array | undefined {
    return this.openFor(kind, tag, body, (text) => text.slice());
  }

  /** Like {@link open}, without a copy: `use` gets the text in place, see {@link Sodium.openFor}. */
  openFor<T>(kind: Kind, tag: Uint8Array, body: Uint8Array, use: (text: Uint8Array) => T): T | undefined {
    // The associated data pads tags with zeros, so a shorter tag could stand for the same record.
    if (kind !== KIND.head && tag.length !== ID_BYTES) return undefined;
    return this.#sodium.openFor(this.#sealKey, body, this.#associate(kind, tag), (padded) => {
      const text = unpad(padded);
      return text && use(text);
    });
  }

  /**
   * Computes a record's fingerprint for the digest of the head. For a sealed body, only its nonce and its Poly1305 tag
   * are hashed, which stand for all of it; the store's id, slots and data keys are small and are hashed whole.
   */
  fingerprint(kind: Kind, tag: Uint8Array, body: Uint8Array): Uint8Array {
    const isSealed = kind >= KIND.principal;
    const start = isSealed ? body.subarray(0, 24) : body;
    const end = body.subarray(isSealed ? -16 : body.length);
    const message = Buffer.allocUnsafe(2 + tag.length + start.length + end.length);
    message[0] = kind;
    message[1] = tag.length;
    message.set(tag, 2);
    message.set(start, 2 + tag.length);
    message.set(end, 2 + tag.length + start.length);
    return this.#sodium.keyedHash(this.#digestKey, message, DIGEST_BYTES);
  }

  /** Wipes the subkeys and all masked values. */
  wipe(): void {
    this.masked.wipe();
    this.#sodium.release(this.#tagKey, this.#sealKey, this.#digestKey);
  }

  /** Computes the keyed hash of kind (u8) ‖ NUL ‖ identity. */
  #tag(kind: Kind, identity: string): Uint8Array {
    const message = Buffer.from(`${String.fromCharCode(kind)}\0${identity}`);
    return this.#sodium.keyedHash(this.#tagKey, message, ID_BYTES);
  }

  /** Builds the associated data in a buffer that every call reuses: `Sodium` copies it before it returns. */
  #associate(kind: Kind, tag: Uint8Array): Uint8Array {
    let offset = ASSOCIATED_MAGIC.length + ID_BYTES + 4;
    offset = this.#associated.writeUInt8(kind, offset);
    this.#associated.fill(0, offset, offset + ID_BYTES);
    this.#associated.set(tag, offset);
    return this.#associated;
  }
}
