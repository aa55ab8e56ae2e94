import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import type { Scope } from '../../support/scope.ts';

/** A server that speaks HTTP/1.1 over a Unix socket, and answers each call with a short JSON text that comes whole. */
export class HttpSocket {
  readonly #socket: Socket;
  readonly #ending: string;

  private constructor(socket: Socket, ending: string) {
    this.#socket = socket;
    this.#ending = ending;
  }

  /** @param ending what the JSON of each answer ends with */
  static async open(scope: Scope, path: string, ending: string): Promise<HttpSocket> {
    const socket = connect(path);
    scope.after(() => void socket.destroy());
    await once(socket, 'connect');
    return new HttpSocket(socket, ending);
  }

  /** Calls per second, the next one after the reply. @throws Error where an answer does not have what it should */
  async rateOf(call: Uint8Array, calls: number, expected: string): Promise<number> {
    const startedMs = performance.now();
    for (let made = 0; made < calls; made += 1) {
      this.#socket.write(call);
      let reply = '';
      do {
        const [chunk] = (await once(this.#socket, 'data')) as [Buffer];
        reply += chunk.toString('latin1');
      } while (!reply.endsWith(this.#ending));
      if (!reply.includes(expected)) throw new Error(`something else is answered: ${reply}`);
    }
    return (calls / (performance.now() - startedMs)) * 1000;
  }
}

/** A request as bytes: what a client sends over and over. */
export function httpRequest(method: string, path: string, headers: readonly string[], body?: object): Buffer {
  const text = body === undefined ? '' : JSON.stringify(body);
  const head = [`${method} ${path} HTTP/1.1`, 'Host: localhost', `Content-Length: ${text.length}`, ...headers, '', ''];
  return Buffer.from(head.join('\r\n') + text);
}
