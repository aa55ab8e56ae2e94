import { isCredentialError } from '../src/errors.ts';
import { MESSAGE_BYTES_MAX } from '../src/limits.ts';
import { FrameSplitter } from '../src/protocol/frame.ts';
import { ConnectionError } from './connection-error.ts';
import { errorOf, parseReply, type Reply } from './reply.ts';
import type { Transport } from './transport.ts';

/** The recipient of the replies to one call. Its last event is a reply without `continues`, or `onFailure`. */
export interface PendingCall {
  /** Whether the call was made with `more`, so that a reply may announce further ones. */
  readonly isStream: boolean;
  /** Longest wait for each reply, in milliseconds, counted from when all earlier calls are answered. */
  readonly timeoutMs: number;
  onReply(reply: Reply): void;
  onFailure(error: unknown): void;
}

/**
 * Calls and replies on one socket. Varlink has no call ids: replies come in the order of the calls, so anything that
 * breaks that order ends the connection and fails all pending calls.
 */
export class Connection {
  readonly path: string;
  readonly #transport: Transport;
  readonly #splitter = new FrameSplitter(MESSAGE_BYTES_MAX);
  readonly #pending = new Queue<PendingCall>();
  #timer: NodeJS.Timeout | undefined;
  #isPaused = false;
  #failure: { readonly error: unknown } | undefined;
  #forgetSignal: (() => void) | undefined;

  constructor(transport: Transport, path: string) {
    this.path = path;
    this.#transport = transport;
    transport.listen({
      onData: (chunk) => this.#receive(chunk),
      onClose: (cause) => this.fail(new ConnectionError('closed', path, { cause })),
    });
  }

  /** Sends one call, whether or not earlier ones are answered. */
  send(message: string, call: PendingCall): void {
    if (this.#failure !== undefined) {
      call.onFailure(this.#failure.error);
      return;
    }
    this.#pending.push(call);
    if (this.#pending.length === 1) this.#startTimer();
    this.#transport.write(`${message}\0`);
  }

  /** Stops reading from the socket until {@link Connection.resume}, and suspends the time-out meanwhile. */
  pause(): void {
    this.#isPaused = true;
    this.#transport.pause();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  resume(): void {
    if (this.#failure !== undefined) return;
    this.#isPaused = false;
    this.#transport.resume();
    this.#startTimer();
  }

  /** Ends the connection when the signal is aborted, with the signal's reason as the error. */
  failOn(signal: AbortSignal): void {
    const onAbort = (): void => this.fail(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    this.#forgetSignal = (): void => signal.removeEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  }

  /** Ends the connection at once. All pending calls, and any later ones, fail with the error. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    clearTimeout(this.#timer);
    this.#forgetSignal?.();
    this.#transport.destroy();
    this.#splitter.wipe();
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) next.onFailure(error);
  }

  #receive(chunk: Uint8Array): void {
    try {
      for (const frame of this.#splitter.push(chunk)) {
        if (this.#failure !== undefined) return;
        this.#dispatch(parseReply(frame));
        frame.fill(0);
      }
    } catch (cause) {
      // `TooLarge` means that the peer sent a message over the limit; anything else is a bug in this process.
      const isTooLarge = isCredentialError(cause, 'TooLarge');
      this.fail(isTooLarge ? new ConnectionError('bad_reply', this.path, { cause, detail: 'size' }) : cause);
    }
  }

  #dispatch(reply: Reply | undefined): void {
    const first = this.#pending.first;
    if (first === undefined && reply?.error !== undefined) {
      // An error that answers no call is the reason why the daemon is about to close the connection.
      this.fail(errorOf(reply.error, reply.parameters, this.path));
      return;
    }
    if (reply === undefined || first === undefined || (reply.continues && !first.isStream)) {
      this.fail(new ConnectionError('bad_reply', this.path));
      return;
    }
    if (!reply.continues) this.#pending.shift();
    this.#startTimer();
    first.onReply(reply);
  }

  #startTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const first = this.#pending.first;
    if (first === undefined || this.#isPaused) return;
    const timer = setTimeout(() => {
      // If this process was stopped (Ctrl-Z), a reply may be waiting in the socket. The event loop reads it before it
      // runs this callback, and the reply resets the timer.
      setImmediate(() => {
        if (this.#timer === timer) this.fail(new ConnectionError('timed_out', this.path));
      });
    }, first.timeoutMs);
    this.#timer = timer;
  }
}

/** A first-in, first-out queue with amortized constant time per operation. */
class Queue<Item> {
  #items: (Item | undefined)[] = [];
  #start = 0;

  get length(): number {
    return this.#items.length - this.#start;
  }

  get first(): Item | undefined {
    return this.#items[this.#start];
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  shift(): Item | undefined {
    const item = this.#items[this.#start];
    if (item === undefined) return undefined;
    this.#items[this.#start] = undefined;
    this.#start += 1;
    if (this.#start * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
    return item;
  }
}
