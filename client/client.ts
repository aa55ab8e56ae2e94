import { CredentialError } from '../src/errors.ts';
import { MESSAGE_BYTES_MAX } from '../src/limits.ts';
import { INTERFACE_NAME, type Methods } from '../src/protocol/interface.generated.ts';
import { ConnectionError } from './connection-error.ts';
import type { Connection } from './connection.ts';
import { readReply, type MethodName, type Reply } from './reply.ts';

/** Options of one call. */
export interface CallOptions {
  /**
   * Longest wait for each reply, in milliseconds, up to 2^31 - 1; by default that of the connection. It is counted from
   * when all earlier calls are answered. A call that times out ends the connection.
   */
  readonly timeoutMs?: number;
}

/** How many replies of a stream are queued for the reader before the socket is paused. */
const REPLIES_AHEAD_MAX = 4;

/**
 * A connection to the daemon, made by `connect()`. Calls may be made before earlier ones are answered; the daemon
 * answers them in order.
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

  /** The path of the socket that the client is connected to. */
  get socket(): string {
    return this.#connection.path;
  }

  /**
   * Calls a method and returns its reply. The methods and their parameters are those of the interface
   * `io.cio.Credentials`.
   *
   * @throws CredentialError the daemon refused the call: an error of the interface, with its code and fields. Also
   *   `TooLarge`, before anything is sent, if the message would exceed 8 MiB (`MESSAGE_BYTES_MAX`)
   * @throws ConnectionError there was no reply, or one that is not of this interface
   *
   * @example
   * await client.call('Create', { credentials: [{ name: 'token', ...encodeValue(bytes) }], replace: true });
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
   * Calls a method with `more`, and yields the replies as they arrive. The call is sent when the first reply is
   * requested. A slow reader exerts back-pressure on the daemon: only a few replies are buffered here. After a reader
   * stops early, the remaining replies are discarded, and later calls wait for the last of them.
   *
   * `Watch` never ends, and no later call on its connection is answered, so give it a connection of its own. Leaving the
   * loop closes that connection; {@link CredentialClient.close} does so while no reply comes. A quiet `Watch` also needs
   * a long `timeoutMs`.
   *
   * @throws CredentialError, ConnectionError as {@link CredentialClient.call}
   *
   * @example
   * for await (const { credentials } of client.stream('List', { patterns: ['cio_aws_*'] })) {
   *   for (const { name } of credentials) console.log(name);
   * }
   */
  async *stream<Name extends MethodName>(
    method: Name,
    parameters: Methods[Name]['in'],
    options: CallOptions = {},
  ): AsyncGenerator<Methods[Name]['out'], void, undefined> {
    const replies = new StreamReplies(this.#connection, options.timeoutMs ?? this.#timeoutMs);
    this.#connection.send(encodeCall(method, parameters, true), replies);
    let isWatching = method === 'Watch';
    try {
      for (;;) {
        const reply = await replies.next();
        isWatching &&= reply.continues;
        yield readReply(method, reply, this.#connection.path);
        if (!reply.continues) return;
      }
    } finally {
      // Varlink cannot cancel a call: only the end of its connection ends a Watch.
      if (isWatching) this.close();
      else replies.abandon();
    }
  }

  /**
   * Closes the connection at once. Calls that are not answered yet, and any later ones, fail with a ConnectionError
   * `closed`.
   */
  close(): void {
    this.#connection.fail(new ConnectionError('closed', this.#connection.path));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}

/** @throws CredentialError `TooLarge` if the message exceeds {@link MESSAGE_BYTES_MAX} */
function encodeCall(method: MethodName, parameters: object, more: boolean): string {
  const message = JSON.stringify({ method: `${INTERFACE_NAME}.${method}`, parameters, ...(more && { more }) });
  if (Buffer.byteLength(message) > MESSAGE_BYTES_MAX) {
    throw new CredentialError('TooLarge', { limit: MESSAGE_BYTES_MAX });
  }
  return message;
}

/** Buffers the replies to one call with `more` between the socket and the reader. */
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

  /** Discards all further replies. They are still read from the socket, as the replies to later calls follow them. */
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
