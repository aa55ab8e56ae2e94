import { freeBuffer } from '../../src/free-buffer.ts';
import { MESSAGE_BYTES_MAX } from '../../src/limits.ts';
import { FrameSplitter } from '../../src/protocol/frame.ts';
import { parseMessage } from './parse-message.ts';

/** Chunks of at least this size are freed as soon as they are read; V8 collects smaller ones quickly. */
const LARGE_CHUNK_BYTES = 16_384;

/** A message parsed from JSON, and its length on the wire; the parsed objects take more memory. */
export interface Call {
  readonly message: unknown;
  readonly bytes: number;
}

/** Cuts what a peer sends into calls, one at a time, and wipes the bytes of each as soon as it is read. */
export class CallReader {
  readonly #splitter: FrameSplitter = new FrameSplitter(MESSAGE_BYTES_MAX);
  #frames: Generator<Uint8Array, void, undefined> | undefined;
  /** The chunk that the frames are cut out of. */
  #chunk: Buffer | undefined;
  #messageSince: number | undefined;

  /** Tells whether the pushed chunk may contain another call; {@link next} finds out. */
  get hasMore(): boolean {
    return this.#frames !== undefined;
  }

  /** Bytes held of the incomplete message. */
  get pendingBytes(): number {
    return this.#splitter.pendingBytes;
  }

  /** When the incomplete message began; `performance.now()`. */
  get messageSince(): number | undefined {
    return this.#messageSince;
  }

  /** Takes the next chunk, which the reader owns from now on. The chunk before it must have been read to its end. */
  push(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#frames = this.#splitter.push(chunk);
  }

  /**
   * Returns the next complete call; undefined if there is none, `not_json` if the message is not JSON.
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
      if (frame.buffer !== this.#chunk?.buffer) freeBuffer(frame.buffer);
    }
  }

  /** Excludes a span from the age of the incomplete message: the daemon spent it, not the peer. */
  excludeDelay(ms: number): void {
    if (this.#messageSince !== undefined) this.#messageSince += ms;
  }

  /** Wipes and frees a chunk that is not to be read. */
  discard(chunk: Buffer): void {
    chunk.fill(0);
    freeIfLarge(chunk);
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
    if (chunk !== undefined) freeIfLarge(chunk);
  }
}

function freeIfLarge(chunk: Buffer): void {
  // A small chunk may be a part of a buffer that others share.
  if (chunk.length >= LARGE_CHUNK_BYTES && chunk.length === chunk.buffer.byteLength) freeBuffer(chunk.buffer);
}
