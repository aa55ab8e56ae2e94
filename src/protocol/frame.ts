import { CredentialError } from '../errors.ts';
import { freeBuffer } from '../free-buffer.ts';

const NUL = 0;

/** Initial size of the buffer for a frame that arrives in pieces, in bytes. Most messages fit. */
const BUFFER_BYTES_MIN = 4096;

/**
 * Splits a stream of bytes into messages that each end with a NUL byte (https://varlink.org/Method-Call).
 *
 * Every byte that is pushed exists in one place only, so that it can be wiped: in a frame, which belongs to the caller
 * from then on, or in the splitter, until {@link FrameSplitter.wipe}.
 */
export class FrameSplitter {
  readonly #frameBytesMax: number;
  #buffer: Uint8Array = new Uint8Array(0);
  #pendingBytes = 0;
  #isOverrun = false;

  /** @param frameBytesMax the longest frame that is accepted, in bytes without its NUL */
  constructor(frameBytesMax: number) {
    if (!Number.isSafeInteger(frameBytesMax) || frameBytesMax < 0)
      throw new RangeError('frameBytesMax is not a size in bytes');
    this.#frameBytesMax = frameBytesMax;
  }

  /** Number of bytes held of an incomplete frame; 0 between two frames. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Takes the next bytes of the stream and yields the frames that they complete, without their NUL, in order. The
   * generator has to be run to its end before the next call. If the caller stops early (`break`, `return()`), the rest
   * of the chunk is zeroed and lost.
   *
   * The splitter takes ownership of the chunk. Frames that lie entirely in it are views of it; an incomplete frame is
   * copied out, and zeroed in the chunk.
   *
   * @throws CredentialError `TooLarge` at the first byte over the limit, after the frames before it, and from then on
   */
  *push(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    let next = 0;
    try {
      while (next < chunk.length) {
        const start = next;
        const nul = chunk.indexOf(NUL, start);
        const end = nul === -1 ? chunk.length : nul;
        if (this.#isOverrun || this.#pendingBytes + end - start > this.#frameBytesMax) this.#overrun();
        next = end + 1;
        if (nul !== -1 && this.#pendingBytes === 0) {
          yield chunk.subarray(start, end);
        } else {
          this.#hold(chunk.subarray(start, end));
          if (nul !== -1) yield this.#release();
        }
      }
    } finally {
      chunk.fill(0, next);
    }
  }

  /** Zeroes and discards what is held of an incomplete frame. */
  wipe(): void {
    this.#buffer.fill(0, 0, this.#pendingBytes);
    freeBuffer(this.#release().buffer);
  }

  /** Moves a piece of a frame from its chunk to the buffer. Its size doubles, so that small pieces take linear time. */
  #hold(piece: Uint8Array): void {
    const bytes = this.#pendingBytes + piece.length;
    if (bytes > this.#buffer.length) {
      const outgrown = this.#buffer;
      const room = Math.max(bytes, 2 * outgrown.length, BUFFER_BYTES_MIN);
      this.#buffer = new Uint8Array(Math.min(room, this.#frameBytesMax));
      this.#buffer.set(outgrown.subarray(0, this.#pendingBytes));
      outgrown.fill(0, 0, this.#pendingBytes);
      freeBuffer(outgrown.buffer);
    }
    this.#buffer.set(piece, this.#pendingBytes);
    piece.fill(0);
    this.#pendingBytes = bytes;
  }

  /** Gives the buffer away as a frame. The next frame gets a new buffer. */
  #release(): Uint8Array {
    const frame = this.#buffer.subarray(0, this.#pendingBytes);
    this.#buffer = new Uint8Array(0);
    this.#pendingBytes = 0;
    return frame;
  }

  #overrun(): never {
    this.#isOverrun = true;
    this.wipe();
    throw new CredentialError('TooLarge', { limit: this.#frameBytesMax });
  }
}
