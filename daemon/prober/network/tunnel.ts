import { request } from 'node:http';
import type { Socket } from 'node:net';

import { ProbeFailure } from '../failure.ts';
import { HEADER_BYTES_MAX } from '../limits.ts';
import { authorityOf, type Endpoint } from './endpoint.ts';
import { performTlsHandshake, tlsOptionsOf } from './handshake.ts';
import { failureOfRequest } from './socket-error.ts';

/**
 * Prepares a connection to a proxy for requests to a server: with a TLS handshake if the proxy uses TLS, and with
 * CONNECT (RFC 9110, section 9.3.6) if the server does. For a server without TLS, the proxy gets requests with absolute
 * URLs instead.
 *
 * Node's own support (`proxyEnv`) is not used: it looks the proxy up by itself, and so may connect to another address
 * than the one that was checked.
 *
 * @throws ProbeFailure
 */
export async function connectThroughProxy(
  socket: Socket,
  proxy: Endpoint,
  endpoint: Endpoint,
  signal: AbortSignal,
): Promise<Socket> {
  const toProxy = proxy.isTls ? await performTlsHandshake(socket, tlsOptionsOf(proxy), signal, proxy.field) : socket;
  return endpoint.isTls ? openTunnel(toProxy, endpoint, signal) : toProxy;
}

/** The failure for an answer in which the proxy itself refuses a request. */
export function proxyRefusal(status: number): ProbeFailure {
  return new ProbeFailure('proxy_refused', { field: 'proxy', subject: `HTTP ${status}` });
}

function openTunnel(socket: Socket, endpoint: Endpoint, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const path = authorityOf(endpoint);
    const clientRequest = request({
      method: 'CONNECT',
      path,
      headers: { host: path },
      setHost: false,
      // With its own connection, the request uses no agent and nothing of the environment.
      createConnection: () => socket,
      maxHeaderSize: HEADER_BYTES_MAX,
      signal,
    });
    // This event comes with the first answer, even an interim one (1xx), which Go, and so restic, refuses as well.
    clientRequest.once('connect', ({ statusCode: status = 0 }, connected: Socket, head: Buffer) => {
      if (status >= 200 && status < 300) {
        if (head.length > 0) connected.unshift(head);
        resolve(connected);
        return;
      }
      connected.destroy();
      reject(proxyRefusal(status));
    });
    clientRequest.once('error', (error) => {
      socket.destroy();
      reject(failureOfRequest(error));
    });
    clientRequest.end();
  });
}
