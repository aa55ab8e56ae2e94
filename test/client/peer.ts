import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { atEnd } from '../support/scope.ts';
import type { Scope } from '../support/scope.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

/** A call as received. */
export interface ReceivedCall {
  readonly method: string;
  readonly parameters: Record<string, unknown>;
  readonly more?: boolean;
}

/** A socket server that does whatever a test wants, for the ways in which a server can misbehave towards a client. */
export class Peer {
  readonly path: string;
  /** The number of open connections. */
  open = 0;
  readonly #server: net.Server;

  private constructor(server: net.Server, socketPath: string) {
    this.#server = server;
    this.path = socketPath;
  }

  /** Listens, and passes every connection to the test. */
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

  /** Listens, and passes every call to the test, with the socket to reply on. */
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

  /** Refuses connections from now on, and leaves the socket's file in place. */
  stopListening(): void {
    const kept = `${this.path}.kept`;
    fs.renameSync(this.path, kept);
    this.#server.close();
    fs.renameSync(kept, this.path);
  }
}

/** Encodes a message for the wire. */
export function message(content: object): string {
  return `${JSON.stringify(content)}\0`;
}

/** A reply of the daemon to Get. */
export function getReply(value: string): string {
  return message({ parameters: { name: 'name', value, version: 1, generation: 1 } });
}
