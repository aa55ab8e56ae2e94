import { Agent, request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import { withTimeout } from '../deadline.ts';
import { ProbeFailure } from '../failure.ts';
import { ERROR_BYTES_MAX, HEADER_BYTES_MAX, INTERIM_ANSWERS_MAX, REQUEST_MS, STEP_MS } from '../limits.ts';
import { failureOfRequest, isParseError } from './socket-error.ts';
import { proxyRefusal } from './tunnel.ts';

/** A request that is signed and encoded. */
export interface WireRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

/** A complete answer. Header names are in lower case. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** How a server is connected to. */
export interface Connector {
  /** The connection that was made for the checks `connect` and `tls`; it serves the first request. */
  readonly first: Socket;
  /** Opens another connection, to the same address. */
  readonly open: (signal: AbortSignal) => Promise<Socket>;
  /** The beginning of absolute URLs, if a proxy gets those; otherwise empty. */
  readonly base: string;
}

/** The status of a proxy that requires authentication (RFC 9110, section 15.5.8). */
const PROXY_AUTHENTICATION_REQUIRED = 407;

/**
 * An HTTP client for one address that was checked before: nothing is looked up again, no redirect is followed, no proxy
 * but the set's is used, and every answer is bounded in bytes and in time.
 */
export class Wire {
  /** Seconds by which the server's clock is ahead, by the first answer with a `Date`; undefined if there was none. */
  clockSkewS: number | undefined;

  /** Whether the server has sent any answer. */
  hasAnswered = false;

  readonly #agent: FixedAgent;
  readonly #base: string;

  constructor(connector: Connector) {
    this.#agent = new FixedAgent(connector);
    this.#base = connector.base;
  }

  /** Sends a request and reads the complete answer. @throws ProbeFailure; the reason of `signal` */
  exchange(wanted: WireRequest, bytesMax: number, signal: AbortSignal): Promise<Answer> {
    const startedMs = Date.now();
    return withTimeout(REQUEST_MS, signal, async (signal) => {
      const path = this.#base + wanted.path;
      const answer = await readAnswer(await this.#sendWithRetry({ ...wanted, path }, signal), bytesMax);
      const isOfProxy = this.#base !== '' && answer.status === PROXY_AUTHENTICATION_REQUIRED;
      if (isOfProxy) throw proxyRefusal(answer.status);
      this.#readClock(answer, (startedMs + Date.now()) / 2);
      return answer;
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  /**
   * Sends a request. A server may close a connection just when it is used again (RFC 9112, section 9.3.1); a request
   * that only reads is then sent once more.
   */
  async #sendWithRetry(wanted: WireRequest, signal: AbortSignal): Promise<IncomingMessage> {
    const wasKept = this.#agent.isKept;
    try {
      return await this.#send(wanted, signal);
    } catch (error) {
      const isGone = wasKept && !this.#agent.isKept;
      if (!isGone || wanted.method !== 'GET' || signal.aborted) throw error;
      return this.#send(wanted, signal);
    }
  }

  #send({ method, path, headers, body }: WireRequest, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      try {
        const options = { agent: this.#agent, method, path, headers, setHost: false, signal };
        const clientRequest = request({ ...options, maxHeaderSize: HEADER_BYTES_MAX }, (message) => {
          // A parse error in the body tells more than the premature end that it would otherwise look like.
          clientRequest.once('error', (error) => isParseError(error) && message.destroy(error));
          resolve(message);
        });
        // No upgrade was requested. Without this listener, Node would report no answer at all.
        clientRequest.once('upgrade', ({ statusCode = 0 }, socket: Socket) => {
          socket.destroy();
          reject(new ProbeFailure('unexpected_answer', { subject: `HTTP ${statusCode}` }));
        });
        let interim = 0;
        clientRequest.on('information', () => {
          interim += 1;
          if (interim > INTERIM_ANSWERS_MAX) clientRequest.destroy(new ProbeFailure('answer_too_large'));
        });
        clientRequest.on('error', (error) => {
          const failure = failureOfRequest(error);
          if (clientRequest.reusedSocket && failure.reason === 'connection_lost') this.#agent.isKept = false;
          reject(failure);
        });
        clientRequest.end(body);
      } catch {
        // Node throws on characters that a header or a path cannot contain.
        reject(new ProbeFailure('invalid_value', { field: 'backup_repo', subject: 'backup_repo' }));
      }
    });
  }

  #readClock({ headers }: Answer, receivedMs: number): void {
    this.hasAnswered = true;
    const toldMs = Date.parse(headers['date'] ?? '');
    if (!Number.isNaN(toldMs)) this.clockSkewS ??= Math.round((toldMs - receivedMs) / 1000);
  }
}

/** Agent that connects by one {@link Connector}, whatever host a request names. */
class FixedAgent extends Agent {
  /** Whether connections are reused: until the server has closed one that it had agreed to keep open. */
  isKept = true;

  readonly #connector: Connector;
  #first: Socket | undefined;

  constructor(connector: Connector) {
    super({ keepAlive: true, maxSockets: 2 });
    this.#connector = connector;
    this.#first = connector.first;
  }

  override createConnection(_options: unknown, done?: (error: Error | null, socket: Duplex) => void): undefined {
    void this.#connect((error, socket) => done?.(error, socket as Socket));
  }

  override keepSocketAlive(socket: Duplex): boolean {
    // Node's types declare that this returns nothing.
    const canBeKept: unknown = super.keepSocketAlive(socket);
    return this.isKept && canBeKept === true;
  }

  override destroy(): void {
    this.#first?.destroy();
    super.destroy();
  }

  async #connect(done: (error: Error | null, socket?: Socket) => void): Promise<void> {
    let socket: Socket;
    try {
      socket = await this.#open();
    } catch (error) {
      done(error as Error);
      return;
    }
    done(null, socket);
  }

  async #open(): Promise<Socket> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined && !first.destroyed && first.readable) return first;
    return withTimeout(STEP_MS, new AbortController().signal, (signal) => this.#connector.open(signal));
  }
}

/** Reads an answer. @throws ProbeFailure if the body exceeds `bytesMax` or, of an error, {@link ERROR_BYTES_MAX} */
async function readAnswer(message: IncomingMessage, bytesMax: number): Promise<Answer> {
  const status = message.statusCode ?? 0;
  const isGood = status >= 200 && status < 300;
  const limit = isGood ? bytesMax : ERROR_BYTES_MAX;
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of message as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > limit) throw new ProbeFailure('answer_too_large');
      chunks.push(chunk);
    }
  } catch (error) {
    throw failureOfRequest(error as Error);
  } finally {
    if (!message.complete) message.destroy();
  }
  const headers = Object.entries(message.headers).map(([name, value]) => [name, String(value)] as const);
  return { status, headers: Object.fromEntries(headers), body: Buffer.concat(chunks) };
}
