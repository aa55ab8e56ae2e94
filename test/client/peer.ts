import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { atEnd } from '../support/scope.ts';
import type { Scope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** A call as it came. */
export interface ReceivedCall {
  readonly method: string;
  readonly parameters: Record<string, unknown>;
  readonly more?: boolean;
}

/** A socket whose other side does whatever a test wants, for the ways in which a client can be treated badly. */
export class Peer {
  readonly path: string;
  /** How many connections are open. */
  open = 0;
  readonly #server: net.Server;

  private constructor(server: net.Server, socketPath: string) {
    this.#server = server;
    this.path = socketPath;
  }

  /** Listens, and hands over every connection. */
  static async listen(scope: Scope, onConnection: (socket: net.Socket) => void): Promise<Peer> {
    const socketPath = path.join(temporaryDirectory(scope), 'socket');
    const sockets = new Set<net.Socket>();
    const server = net.createServer((socket) => {
      sockets.add(socket);
      peer.open += 1;
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        peer.open -= 1;
      });
      onConnection(socket);
    });
    const peer = new Peer(server, socketPath);
    await new Promise<void>((resolve) => server.listen(socketPath, resolve));
    atEnd(scope, () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      fs.rmSync(socketPath, { force: true });
    });
    return peer;
  }

  /** Listens, and hands over every call with a way to send something back. */
  static onCalls(scope: Scope, onCall: (call: ReceivedCall, socket: net.Socket) => void): Promise<Peer> {
    return Peer.listen(scope, (socket) => {
      let received = '';
      socket.setEncoding('utf8').on('data', (text: string) => {
        const messages = (received + text).split('\0');
        received = messages.pop() ?? '';
        for (const message of messages) onCall(JSON.parse(message) as ReceivedCall, socket);
      });
    });
  }

  /** Refuses connections from now on, and leaves the socket's file. */
  stopListening(): void {
    const kept = `${this.path}.kept`;
    fs.renameSync(this.path, kept);
    this.#server.close();
    fs.renameSync(kept, this.path);
  }
}

/** A message as it travels. */
export function message(content: object): string {
  return `${JSON.stringify(content)}\0`;
}

/** What the daemon answers to Get. */
export function getReply(value: string): string {
  return message({ parameters: { name: 'name', value, version: 1, generation: 1 } });
}
