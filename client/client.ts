import { CredentialError } from '../src/errors.ts';
import { MESSAGE_BYTES_MAX } from '../src/limits.ts';
import { INTERFACE_NAME, type Methods } from '../src/protocol/interface.generated.ts';
import { ConnectionError } from './connection-error.ts';
import type { Connection } from './connection.ts';
import { readReply, type MethodName, type Reply } from './reply.ts';

/** Bounds of one call. */
export interface CallOptions {
  /** Longest time to the next reply, in milliseconds; it is the connection's where it is not given. */
  readonly timeoutMs?: number;
}

/** Replies of a stream that wait for their reader before the socket is paused. */
const REPLIES_AHEAD_MAX = 4;

/**
 * A connection to the daemon. Calls may be made before earlier ones are answered; the answers come in order.
 *
 * @example
 * await using client = await connect();
 * const { value } = await client.call('Get', { name: 'cio_aws_backup_repo' });
 */
export class CredentialClient implements AsyncDisposable {
  readonly #connection: Connection;
  readonly #timeoutMs: number;

  constructor(connection: Connection, timeoutMs: number) {
    this.#connection = connection;
    this.#timeoutMs = timeoutMs;
  }

  /** The path of the socket that answered. */
  get socket(): string {
    return this.#connection.path;
  }

  /**
   * Makes one call.
   *
   * @throws CredentialError what the daemon refuses, with the code and fields of the interface
   * @throws ConnectionError no answer, or none of this interface
   */
  async call<Name extends MethodName>(
    method: Name,
    parameters: Methods[Name]['in'],
    options: CallOptions = {},
  ): Promise<Methods[Name]['out']> {
    const message = encodeCall(method, parameters, false);
    const reply = await new Promise<Reply>((resolve, reject) => {
      this.#connection.send(message, {
        isStream: false,
        timeoutMs: options.timeoutMs ?? this.#timeoutMs,
        onReply: resolve,
        onFailure: reject,
      });
    });
    return readReply(method, reply, this.#connection.path);
  }

  /**
   * Makes one call with `more`, and yields the replies as they come. The call is made when the first one is asked for.
   * A reader that stops early leaves the connection usable; one that is slow holds up the daemon, not the memory.
   *
   * @throws CredentialError, ConnectionError as {@link CredentialClient.call}
   */
  async *stream<Name extends MethodName>(
    method: Name,
    parameters: Methods[Name]['in'],
    options: CallOptions = {},
  ): AsyncGenerator<Methods[Name]['out'], void, undefined> {
    const replies = new StreamReplies(this.#connection, options.timeoutMs ?? this.#timeoutMs);
    this.#connection.send(encodeCall(method, parameters, true), replies);
    try {
      for (;;) {
        const reply = await replies.next();
        yield readReply(method, reply, this.#connection.path);
        if (!reply.continues) return;
      }
    } finally {
      replies.abandon();
    }
  }

  /** Ends the connection at once; calls that wait for an answer fail with a ConnectionError `closed`. */
  close(): void {
    this.#connection.fail(new ConnectionError('closed', this.#connection.path));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

/** @throws CredentialError `TooLarge`, before anything is sent */
function encodeCall(method: MethodName, parameters: object, more: boolean): string {
  const message = JSON.stringify({ method: `${INTERFACE_NAME}.${method}`, parameters, ...(more && { more }) });
  if (Buffer.byteLength(message) > MESSAGE_BYTES_MAX) {
    throw new CredentialError('TooLarge', { limit: MESSAGE_BYTES_MAX });
  }
  return message;
}

/** The replies to one call with `more`, between the socket and their reader. */
class StreamReplies {
  readonly isStream = true;
  readonly timeoutMs: number;
  readonly #connection: Connection;
  readonly #ahead: Reply[] = [];
  #failure: { readonly error: unknown } | undefined;
  #reader: { resolve(reply: Reply): void; reject(error: unknown): void } | undefined;
  #isAbandoned = false;
  #isPaused = false;

  constructor(connection: Connection, timeoutMs: number) {
    this.#connection = connection;
    this.timeoutMs = timeoutMs;
  }

  onReply(reply: Reply): void {
    if (this.#isAbandoned) return;
    if (this.#reader !== undefined) {
      this.#reader.resolve(reply);
      this.#reader = undefined;
      return;
    }
    this.#ahead.push(reply);
    if (this.#ahead.length < REPLIES_AHEAD_MAX || !reply.continues) return;
    this.#isPaused = true;
    this.#connection.pause();
  }

  onFailure(error: unknown): void {
    this.#failure = { error };
    this.#reader?.reject(error);
    this.#reader = undefined;
  }

  next(): Promise<Reply> {
    const reply = this.#ahead.shift();
    if (this.#ahead.length === 0) this.#resume();
    if (reply !== undefined) return Promise.resolve(reply);
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  /** Replies that still come are read and dropped: the calls behind this one wait for theirs. */
  abandon(): void {
    this.#isAbandoned = true;
    this.#ahead.length = 0;
    this.#resume();
  }

  #resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#connection.resume();
  }
}
