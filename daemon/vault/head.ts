import { DIGEST_BYTES } from './sealing.ts';

const HEAD_BYTES: number = 8 + 8 + DIGEST_BYTES;

/**
 * A digest over a set of records: how many there are, and the exclusive or of their keyed fingerprints (Bellare, Guérin,
 * Rogaway, "XOR MACs", 1995). A record is taken out the way it was put in.
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
 * What the whole store is to be, so that a record that was deleted, added or put back from an older copy shows. The head
 * is sealed: nobody without the keys can see it or make one up.
 */
export interface Head {
  /** How often the store was committed. */
  readonly commits: number;
  /** Over every record but the head itself. */
  readonly digest: Digest;
}

/** u64 commits ‖ u64 records ‖ digest, big-endian. */
export function encodeHead(head: Head): Uint8Array {
  const text = new Uint8Array(HEAD_BYTES);
  const view = new DataView(text.buffer);
  view.setBigUint64(0, BigInt(head.commits));
  view.setBigUint64(8, BigInt(head.digest.records));
  text.set(head.digest.bytes, 16);
  return text;
}

/** Undefined where the length is another. */
export function decodeHead(text: Uint8Array): Head | undefined {
  if (text.length !== HEAD_BYTES) return undefined;
  const view = new DataView(text.buffer, text.byteOffset, text.byteLength);
  const digest = new Digest(Number(view.getBigUint64(8)), text.subarray(16));
  return { commits: Number(view.getBigUint64(0)), digest };
}
