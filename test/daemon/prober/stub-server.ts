import type { LookupAddress } from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';

import type { Lookup } from '../../../daemon/prober/network/resolve.ts';
import type { ServerIdentity } from '../../support/minio-server.ts';
import type { Scope } from '../../support/scope.ts';

/** A server whose behaviour the test defines. */
export interface StubServer {
  readonly port: number;
  /** The host and port, as in `127.0.0.1:9000`. */
  readonly authority: string;
  /** The head of every request, with each header's name and value on separate lines. */
  readonly seen: string[];
  /** Stops accepting connections. */
  readonly stop: () => void;
}

/** Answers a completely received request. */
export type Answerer = (request: http.IncomingMessage, response: http.ServerResponse, body: Buffer) => void;

/** Starts a server that answers every HTTP request with `answer`, over TLS if it has a certificate. */
export async function startHttp(
  scope: Scope,
  answer: Answerer,
  identity?: ServerIdentity,
  host: '127.0.0.1' | '::1' = '127.0.0.1',
): Promise<StubServer> {
  const seen: string[] = [];
  const listener: http.RequestListener = (request, response) => {
    const headers = request.rawHeaders.join('\n');
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      seen.push(`${request.method} ${request.url}\n${headers}\n`);
      answer(request, response, Buffer.concat(chunks));
    });
  };
  const server =
    identity === undefined
      ? http.createServer(listener)
      : https.createServer({ cert: identity.certificate, key: identity.key }, listener);
  return listen(scope, server, seen, host);
}

/** Starts a server that passes every connection to `connected`. */
export function startTcp(scope: Scope, connected: (socket: net.Socket) => void): Promise<StubServer> {
  const seen: string[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    connected(socket);
  });
  return listen(scope, server, seen);
}

/** Returns a listener that answers with an S3 error. */
export function refusal(code: string, status = 403, rest = ''): http.RequestListener {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(
      `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message></Message>${rest}</Error>`,
    );
  };
}

/** Resolves every name to this machine. */
export const toThisHost: Lookup = async () => [{ address: '127.0.0.1', family: 4 }];

/** Returns a lookup that answers with these addresses. */
export function lookupOf(...addresses: string[]): Lookup {
  return async () => addresses.map((address): LookupAddress => ({ address, family: net.isIP(address) }));
}

async function listen(scope: Scope, server: net.Server, seen: string[], host = '127.0.0.1'): Promise<StubServer> {
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket: net.Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  scope.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as net.AddressInfo;
  return { port, authority: `${host === '::1' ? '[::1]' : host}:${port}`, seen, stop: () => void server.close() };
}
