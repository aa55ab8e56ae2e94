import http from 'node:http';
import https from 'node:https';
import net from 'node:net';

import type { ServerIdentity } from '../../support/minio-server.ts';
import type { Scope } from '../../support/scope.ts';

/** A forward proxy that passes on what it is asked for, and remembers it. */
export interface ProxyServer {
  /** As the field `proxy` has it. */
  readonly url: string;
  readonly authority: string;
  /** The names of the servers that a tunnel was asked for to. */
  readonly tunnels: string[];
  /** Whole URLs that were asked for. */
  readonly urls: string[];
}

/**
 * Starts a proxy that takes every name to this machine, as the name server of a proxy may.
 *
 * @param refusal the status by which it refuses everything
 */
export async function startProxy(
  scope: Scope,
  options: { readonly identity?: ServerIdentity; readonly refusal?: number } = {},
): Promise<ProxyServer> {
  const { identity, refusal } = options;
  const tunnels: string[] = [];
  const urls: string[] = [];
  const pass: http.RequestListener = (request, response) => {
    urls.push(request.url ?? '');
    const { port, pathname, search } = new URL(request.url ?? '');
    if (refusal !== undefined) return void response.writeHead(refusal).end();
    const { method, headers } = request;
    const onward = http.request(
      { host: '127.0.0.1', port, method, path: pathname + search, headers, setHost: false },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on('error', () => response.writeHead(502).end());
    request.pipe(onward);
  };
  const server =
    identity === undefined
      ? http.createServer(pass)
      : https.createServer({ cert: identity.certificate, key: identity.key }, pass);
  const sockets = new Set<net.Socket>();
  const keep = (socket: net.Socket): void => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  };
  server.on('connection', keep);
  server.on('connect', ({ url = '' }: http.IncomingMessage, client: net.Socket) => {
    tunnels.push(url);
    if (refusal !== undefined) return void client.end(`HTTP/1.1 ${refusal} No\r\n\r\n`);
    const onward = net.connect(Number(/:(\d+)$/.exec(url)?.[1]), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      onward.pipe(client).pipe(onward);
    });
    keep(onward);
    onward.on('error', () => client.destroy());
    client.on('error', () => onward.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  scope.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const authority = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
  return { url: `http${identity === undefined ? '' : 's'}://${authority}`, authority, tunnels, urls };
}
