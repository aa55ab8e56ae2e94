import { request } from 'node:http';
import type { Socket } from 'node:net';

import { ProbeFailure } from '../failure.ts';
import { HEADER_BYTES_MAX } from '../limits.ts';
import { authorityOf, type Endpoint } from './endpoint.ts';
import { shakeHands, tlsOptionsOf } from './handshake.ts';
import { failureOfRequest } from './socket-error.ts';

/**
 * Makes a connection to a proxy one that a server's bytes come over: by TLS where the proxy speaks it, and by CONNECT
 * (RFC 9110, section 9.3.6) where the server does. For the other servers it is asked with whole URLs.
 *
 * Node's own support (`proxyEnv`) looks the proxy up by itself, and so may go to another address than the one that was
 * checked.
 *
 * @throws ProbeFailure
 */
export async function passProxy(
  socket: Socket,
  proxy: Endpoint,
  endpoint: Endpoint,
  signal: AbortSignal,
): Promise<Socket> {
  const toProxy = proxy.isTls ? await shakeHands(socket, tlsOptionsOf(proxy), signal, proxy.field) : socket;
  return endpoint.isTls ? openTunnel(toProxy, endpoint, signal) : toProxy;
}

/** What a proxy says of itself, with the status of its answer. */
export function proxyRefusal(status: number): ProbeFailure {
  return new ProbeFailure('proxy_refused', { field: 'proxy', subject: `HTTP ${status}` });
}

function openTunnel(socket: Socket, endpoint: Endpoint, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const path = authorityOf(endpoint);
    const asked = request({
      method: 'CONNECT',
      path,
      headers: { host: path },
      setHost: false,
      // With a connection of one's own there is no agent, and nothing of the environment.
      createConnection: () => socket,
      maxHeaderSize: HEADER_BYTES_MAX,
      signal,
    });
    // Comes with the first answer, and for Go, and so restic, one that is none yet (1xx) is no yes either.
    asked.once('connect', ({ statusCode: status = 0 }, connected: Socket, head: Buffer) => {
      if (status >= 200 && status < 300) {
        if (head.length > 0) connected.unshift(head);
        resolve(connected);
        return;
      }
      connected.destroy();
      reject(proxyRefusal(status));
    });
    asked.once('error', (error) => {
      socket.destroy();
      reject(failureOfRequest(error));
    });
    asked.end();
  });
}
