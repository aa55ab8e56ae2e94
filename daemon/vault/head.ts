import { KIND, fixedTag } from '../store/sealed-store.ts';
import type { SealedReader } from '../store/sealed-store.ts';
import { DIGEST_BYTES } from './sealing.ts';
import type { Sealing } from './sealing.ts';

const HEAD_BYTES: number = 8 + 8 + DIGEST_BYTES;

/**
 * A digest over a set of records: their number, and the XOR of their keyed fingerprints (Bellare, Guérin, Rogaway, "XOR
 * MACs", 1995). So a record can be removed from the digest by adding its fingerprint again.
 */
export class Digest {
  #records: number;
  readonly #bytes: Uint8Array;

  constructor(records = 0, bytes: Uint8Array = new Uint8Array(DIGEST_BYTES)) {
    this.#records = records;
    this.#bytes = bytes.slice();
  }

  get records(): number {
    return this.#records;
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  add(fingerprint: Uint8Array): void {
    this.#records += 1;
    this.#toggle(fingerprint);
  }

  remove(fingerprint: Uint8Array): void {
    this.#records -= 1;
    this.#toggle(fingerprint);
  }

  equals(other: Digest): boolean {
    return this.#records === other.#records && Buffer.compare(this.#bytes, other.#bytes) === 0;
  }

  #toggle(fingerprint: Uint8Array): void {
    for (let index = 0; index < DIGEST_BYTES; index += 1) {
      this.#bytes[index] = (this.#bytes[index] ?? 0) ^ (fingerprint[index] ?? 0);
    }
  }
}

/**
 * The head of the store: a digest of all its records, which shows if a record was deleted, added or put back from an
 * older copy. The head is sealed, so nobody without the keys can read or forge it.
 */
export interface Head {
  /** Number of commits so far. */
  readonly commits: number;
  /** Digest over every record but the head itself. */
  readonly digest: Digest;
}

/** Encodes a head as commits (u64) ‖ records (u64) ‖ digest, big-endian. */
export function encodeHead(head: Head): Uint8Array {
  const text = new Uint8Array(HEAD_BYTES);
  const view = new DataView(text.buffer);
  view.setBigUint64(0, BigInt(head.commits));
  view.setBigUint64(8, BigInt(head.digest.records));
  text.set(head.digest.bytes, 16);
  return text;
}

/** Decodes a head; undefined if the length is wrong. */
export function decodeHead(text: Uint8Array): Head | undefined {
  if (text.length !== HEAD_BYTES) return undefined;
  const view = new DataView(text.buffer, text.byteOffset, text.byteLength);
  const digest = new Digest(Number(view.getBigUint64(8)), text.subarray(16));
  return { commits: Number(view.getBigUint64(0)), digest };
}

/** Reads the head of a store; undefined if it has none, or another data key sealed it. @throws StoreError */
export function headIn(records: SealedReader, sealing: Sealing): Head | undefined {
  const tag = fixedTag('head');
  const body = records.get(KIND.head, tag);
  const text = body && sealing.open(KIND.head, tag, body);
  return text && decodeHead(text);
}
