import http from 'node:http';
import https from 'node:https';
import net from 'node:net';

import type { ServerIdentity } from '../../support/minio-server.ts';
import type { Scope } from '../../support/scope.ts';

/** A forward proxy that records what it is asked for. */
export interface ProxyServer {
  /** As the field `proxy` has it. */
  readonly url: string;
  readonly authority: string;
  /** The servers that tunnels were requested to. */
  readonly tunnels: string[];
  /** The whole URLs that were requested. */
  readonly urls: string[];
}

/**
 * Starts a proxy that connects to this machine whatever the requested host name.
 * @param refusal the status with which it refuses every request
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
