import type { LookupAddress } from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';

import type { Lookup } from '../../../daemon/prober/network/resolve.ts';
import type { ServerIdentity } from '../../support/minio-server.ts';
import type { Scope } from '../../support/scope.ts';

/** A server that is not what one expects. */
export interface FarServer {
  readonly port: number;
  /** As in `127.0.0.1:9000`. */
  readonly authority: string;
  /** The head of every request that came, with each header's name and value on a line of its own. */
  readonly seen: string[];
  /** Lets nobody connect any more. */
  readonly stop: () => void;
}

/** Answers a request that has come whole. */
export type Answerer = (request: http.IncomingMessage, response: http.ServerResponse, body: Buffer) => void;

/** Answers every HTTP request as it likes, with TLS where it has a certificate. */
export async function startHttp(
  scope: Scope,
  answer: Answerer,
  identity?: ServerIdentity,
  host: '127.0.0.1' | '::1' = '127.0.0.1',
): Promise<FarServer> {
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

/** Does with every connection what it likes. */
export function startTcp(scope: Scope, connected: (socket: net.Socket) => void): Promise<FarServer> {
  const seen: string[] = [];
  const server = net.createServer((socket) => {
    socket.on('error', () => socket.destroy());
    connected(socket);
  });
  return listen(scope, server, seen);
}

/** An answer of S3's that refuses. */
export function refusal(code: string, status = 403, rest = ''): http.RequestListener {
  return (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/xml' });
    response.end(
      `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message></Message>${rest}</Error>`,
    );
  };
}

/** Sends every name to this machine. */
export const toThisHost: Lookup = async () => [{ address: '127.0.0.1', family: 4 }];

/** A name server's answer. */
export function lookupOf(...addresses: string[]): Lookup {
  return async () => addresses.map((address): LookupAddress => ({ address, family: net.isIP(address) }));
}

async function listen(scope: Scope, server: net.Server, seen: string[], host = '127.0.0.1'): Promise<FarServer> {
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
