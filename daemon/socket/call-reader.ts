import { giveBack } from '../../src/give-back.ts';
import { MESSAGE_BYTES_MAX } from '../../src/limits.ts';
import { FrameSplitter } from '../../src/protocol/frame.ts';
import { parseMessage } from './parse-message.ts';

/** Chunks from this size on are given back when they were read; V8 is quick with smaller ones. */
const LARGE_CHUNK_BYTES = 16_384;

/** A message that is JSON, and how long it was: what is made of it takes more. */
export interface Call {
  readonly message: unknown;
  readonly bytes: number;
}

/** Cuts what a peer sends into calls, one at a time, and wipes the bytes of each as soon as it is read. */
export class CallReader {
  readonly #splitter: FrameSplitter = new FrameSplitter(MESSAGE_BYTES_MAX);
  #frames: Generator<Uint8Array, void, undefined> | undefined;
  /** What they are cut out of. */
  #chunk: Buffer | undefined;
  #messageSince: number | undefined;

  /** Tells whether there may be another call in what was pushed; {@link next} says so. */
  get hasMore(): boolean {
    return this.#frames !== undefined;
  }

  /** Bytes of the message that is not complete yet. */
  get pendingBytes(): number {
    return this.#splitter.pendingBytes;
  }

  /** When the message began that is not complete yet; `performance.now()`. */
  get messageSince(): number | undefined {
    return this.#messageSince;
  }

  /** Takes the next bytes, which are given away. What was pushed before was read to its end. */
  push(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#frames = this.#splitter.push(chunk);
  }

  /**
   * The next call that is complete; undefined where there is none, `not_json` where something came that is no JSON.
   *
   * @throws CredentialError `TooLarge`
   */
  next(): Call | 'not_json' | undefined {
    const next = this.#frames?.next();
    if (next === undefined || next.done === true) {
      this.#frames = undefined;
      this.#dropChunk();
      this.#messageSince = this.#splitter.pendingBytes === 0 ? undefined : (this.#messageSince ?? performance.now());
      return undefined;
    }
    this.#messageSince = undefined;
    const frame = next.value;
    const bytes = frame.length;
    try {
      const message = parseMessage(frame);
      return message === undefined ? 'not_json' : { message, bytes };
    } finally {
      frame.fill(0);
      if (frame.buffer !== this.#chunk?.buffer) giveBack(frame.buffer);
    }
  }

  /** Does not count a time to the message that is not complete yet: it was ours, not the peer's. */
  leaveOut(ms: number): void {
    if (this.#messageSince !== undefined) this.#messageSince += ms;
  }

  /** Wipes bytes that are not to be read, and gives them back. */
  discard(chunk: Buffer): void {
    chunk.fill(0);
    giveBackLarge(chunk);
  }

  /** Wipes everything that was not read. */
  wipe(): void {
    this.#frames = undefined;
    this.#chunk?.fill(0);
    this.#dropChunk();
    this.#splitter.wipe();
    this.#messageSince = undefined;
  }

  #dropChunk(): void {
    const chunk = this.#chunk;
    this.#chunk = undefined;
    if (chunk !== undefined) giveBackLarge(chunk);
  }
}

function giveBackLarge(chunk: Buffer): void {
  // A small one may lie in memory that it shares.
  if (chunk.length >= LARGE_CHUNK_BYTES && chunk.length === chunk.buffer.byteLength) giveBack(chunk.buffer);
}
