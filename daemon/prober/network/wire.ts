import type { LookupAddress } from 'node:dns';
import { Agent, request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';

import { within } from '../deadline.ts';
import { ProbeFailure } from '../failure.ts';
import { ERROR_BYTES_MAX, HEADER_BYTES_MAX, REQUEST_MS, STEP_MS } from '../limits.ts';
import { connectTo } from './connect.ts';
import type { Endpoint } from './endpoint.ts';
import { shakeHands } from './handshake.ts';
import { reasonOfSocketError } from './socket-error.ts';

/** A request, signed and encoded. */
export interface WireRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

/** A whole answer; names of headers in lower case. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/**
 * HTTP to one address that was checked before: nothing is looked up again, no redirect is followed, no proxy of the
 * environment is used, and whatever the server sends is bounded in bytes and in time.
 */
export class Wire {
  /** By how many seconds the server's clock is ahead, as the first answer told that had a date; undefined: none had. */
  clockSkewS: number | undefined;

  /** Whether there was any answer. */
  hasAnswered = false;

  readonly #agent: Agent;

  /** @param first the connection that was made when the server was tried; it serves the first request */
  constructor(endpoint: Endpoint, address: LookupAddress, tls: ConnectionOptions | undefined, first: Socket) {
    this.#agent = new FixedAgent(endpoint, address, tls, first);
  }

  /** @throws ProbeFailure; the reason of `signal` */
  exchange(wanted: WireRequest, bytesMax: number, signal: AbortSignal): Promise<Answer> {
    const startedMs = Date.now();
    return within(REQUEST_MS, signal, async (signal) => {
      const answer = await readAnswer(await this.#send(wanted, signal), bytesMax);
      this.#readClock(answer, (startedMs + Date.now()) / 2);
      return answer;
    });
  }

  close(): void {
    this.#agent.destroy();
  }

  #send({ method, path, headers, body }: WireRequest, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const fail = (error: Error): void => reject(failureOf(error));
      try {
        const options = { agent: this.#agent, method, path, headers, setHost: false, signal };
        request({ ...options, maxHeaderSize: HEADER_BYTES_MAX }, resolve)
          .on('error', fail)
          .end(body);
      } catch {
        // Node refuses characters that a header or a path cannot have.
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

/** Connects to one address, whatever a request says. */
class FixedAgent extends Agent {
  readonly #endpoint: Endpoint;
  readonly #address: LookupAddress;
  readonly #tls: ConnectionOptions | undefined;
  #first: Socket | undefined;

  constructor(endpoint: Endpoint, address: LookupAddress, tls: ConnectionOptions | undefined, first: Socket) {
    super({ keepAlive: true, maxSockets: 2 });
    this.#endpoint = endpoint;
    this.#address = address;
    this.#tls = tls;
    this.#first = first;
  }

  override createConnection(_options: unknown, done?: (error: Error | null, socket: Duplex) => void): undefined {
    void this.#connect((error, socket) => done?.(error, socket as Socket));
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
    return within(STEP_MS, new AbortController().signal, async (signal) => {
      const socket = await connectTo(this.#address, this.#endpoint.port, signal);
      return this.#tls === undefined ? socket : shakeHands(socket, this.#tls, signal);
    });
  }
}

/** @throws ProbeFailure where the body is longer than `bytesMax`, or longer than any error's */
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
    throw failureOf(error as Error);
  } finally {
    if (!message.complete) message.destroy();
  }
  const headers = Object.entries(message.headers).map(([name, value]) => [name, String(value)] as const);
  return { status, headers: Object.fromEntries(headers), body: Buffer.concat(chunks) };
}

function failureOf(error: Error): ProbeFailure {
  if (error instanceof ProbeFailure) return error;
  const code = String((error as NodeJS.ErrnoException).code);
  if (code === 'HPE_HEADER_OVERFLOW' || code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    return new ProbeFailure('answer_too_large');
  }
  if (code.startsWith('HPE_')) return new ProbeFailure('unexpected_answer', { subject: 'HTTP' });
  return new ProbeFailure(reasonOfSocketError(error));
}
