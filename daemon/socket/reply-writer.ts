import type { Socket } from 'node:net';

import { CredentialError } from '../../src/errors.ts';
import { MESSAGE_BYTES_MAX } from '../../src/limits.ts';
import { toReply } from '../dispatch.ts';
import type { Reply } from '../dispatch.ts';
import { UNREAD_BYTES_MAX } from './limits.ts';

const TOO_LARGE = `${JSON.stringify(toReply(new CredentialError('TooLarge', { limit: MESSAGE_BYTES_MAX })))}\0`;

/** Gathers the replies to a peer, and writes those of one turn of the event loop at once. */
export class ReplyWriter {
  readonly #socket: Socket;
  readonly #onWritten: () => void;
  /** The encoded replies that were added since the last write. */
  #unsent = '';
  #unsentBytes = 0;
  #isFlushPlanned = false;
  #unreadSince: number | undefined;

  /** @param onWritten is called after each write, as {@link unreadBytes} may have changed */
  constructor(socket: Socket, onWritten: () => void) {
    this.#socket = socket;
    this.#onWritten = onWritten;
  }

  /** Since when the peer has had more unread replies than it may; `performance.now()`. */
  get unreadSince(): number | undefined {
    return this.#unreadSince;
  }

  /** Bytes that were written and wait in this process for the peer to read. */
  get unreadBytes(): number {
    return this.#socket.destroyed ? 0 : this.#socket.writableLength;
  }

  /** Tells whether the peer should read before more is answered. */
  get isFull(): boolean {
    return this.#unreadSince !== undefined || this.#unsentBytes > UNREAD_BYTES_MAX;
  }

  /**
   * Adds a reply, which goes out with the next {@link flush}.
   *
   * @returns false if it is too large for any client, and the error `TooLarge` was added in its place
   */
  add(reply: Reply): boolean {
    const text = JSON.stringify(reply);
    const bytes = Buffer.byteLength(text);
    const isTooLarge = bytes > MESSAGE_BYTES_MAX;
    this.#unsent += isTooLarge ? TOO_LARGE : `${text}\0`;
    this.#unsentBytes += isTooLarge ? TOO_LARGE.length : bytes + 1;
    return !isTooLarge;
  }

  /** Adds a reply that is written together with all others made before the event loop goes on: those of one commit. */
  addForThisTurn(reply: Reply): void {
    this.add(reply);
    if (this.#unsentBytes > UNREAD_BYTES_MAX) {
      this.flush();
    } else if (!this.#isFlushPlanned) {
      this.#isFlushPlanned = true;
      process.nextTick(() => {
        this.#isFlushPlanned = false;
        this.flush();
      });
    }
  }

  /** Writes what was added. @returns false if the peer should read before it gets more */
  flush(): boolean {
    const [text, bytes] = [this.#unsent, this.#unsentBytes];
    this.#unsent = '';
    this.#unsentBytes = 0;
    if (text === '' || this.#socket.destroyed || this.#socket.writableEnded) return true;
    // As latin1, Node copies ASCII text unchanged. The socket counts the characters of other text, not its bytes.
    if (bytes === text.length) this.#socket.write(text, 'latin1');
    else this.#socket.write(Buffer.from(text));
    this.#onWritten();
    const isRead = this.#socket.writableLength <= UNREAD_BYTES_MAX;
    if (!isRead) this.#unreadSince ??= performance.now();
    return isRead;
  }

  /** Returns when the peer has read everything, or is gone. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#socket.off('drain', done).off('close', done);
        resolve();
      };
      this.#socket.on('drain', done).on('close', done);
    });
  }

  /** Ends the wait ({@link unreadSince}) if the peer has read everything. */
  noteRead(): void {
    if (this.#socket.writableLength === 0) this.#unreadSince = undefined;
  }
}
