import net from 'node:net';
import { HANG_MS } from './hang.ts';
import type { Identity } from './identity.ts';
import { withIdentity } from './identity.ts';
import type { Scope } from './scope.ts';

/** A reply as received. */
export interface Reply {
  readonly parameters?: Record<string, unknown>;
  readonly error?: string;
  readonly continues?: boolean;
}

/** The fields of a call besides its method and parameters. */
export interface CallFlags {
  readonly more?: boolean;
  readonly oneway?: boolean;
  readonly upgrade?: boolean;
}

/**
 * A minimal Varlink connection, which can also send what no correct client would. It shares no code with the client
 * library, so that an error in that library cannot hide itself.
 */
export class RawVarlink {
  readonly socket: net.Socket;
  #received: Buffer = Buffer.alloc(0);
  #isEnded = false;
  #wake: (() => void) | undefined;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#wake?.();
    });
    // A reset counts as the end of the connection.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#isEnded = true;
      this.#wake?.();
    });
    socket.on('end', () => {
      this.#isEnded = true;
      this.#wake?.();
    });
  }

  /** Connects, optionally as another user. The connection is closed when the scope ends. */
  static connect(scope: Scope, socketPath: string, as?: Identity): Promise<RawVarlink> {
    return new Promise((resolve, reject) => {
      const dial = (): net.Socket => net.connect({ path: socketPath, allowHalfOpen: true });
      const socket = as === undefined ? dial() : withIdentity(as, dial);
      scope.after(() => void socket.destroy());
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new RawVarlink(socket));
      });
    });
  }

  /** Sends an object as JSON followed by NUL, and bytes or text unchanged. */
  send(message: object | string | Uint8Array): void {
    if (typeof message === 'string' || message instanceof Uint8Array) this.socket.write(message);
    else this.socket.write(`${JSON.stringify(message)}\0`);
  }

  /** Returns the next message; undefined at the end of the connection. Rejects if neither comes in time. */
  async receive(timeoutMs: number = HANG_MS): Promise<Reply | undefined> {
    for (;;) {
      const end = this.#received.indexOf(0);
      if (end >= 0) {
        const message = this.#received.subarray(0, end);
        this.#received = this.#received.subarray(end + 1);
        return JSON.parse(message.toString()) as Reply;
      }
      if (this.#isEnded) return undefined;
      await this.#change(timeoutMs);
    }
  }

  /** The bytes received that are not yet a whole message. */
  get rest(): Buffer {
    return this.#received;
  }

  /** Calls a method and returns its first reply. */
  async call(method: string, parameters: object = {}, flags: CallFlags = {}): Promise<Reply> {
    this.send({ method, parameters, ...flags });
    const reply = await this.receive();
    if (reply === undefined) throw new Error(`the connection ended instead of an answer to ${method}`);
    return reply;
  }

  /** Calls a method with `more` and returns all its replies. */
  async callMore(method: string, parameters: object = {}): Promise<Reply[]> {
    const replies = [await this.call(method, parameters, { more: true })];
    while (replies.at(-1)?.continues === true) {
      const reply = await this.receive();
      if (reply === undefined) throw new Error(`the connection ended among the answers to ${method}`);
      replies.push(reply);
    }
    return replies;
  }

  /** Ends the sending side only; replies are still received. */
  end(): void {
    this.socket.end();
  }

  close(): void {
    this.socket.destroy();
  }

  async #change(timeoutMs: number): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => reject(new Error('nothing was received')), timeoutMs);
    this.#wake = resolve;
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#wake = undefined;
    }
  }
}
