import type { LookupAddress } from 'node:dns';
import type { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';

import type { CheckId, Finding } from '../../src/validation.ts';
import { findingOf } from './failure.ts';
import { connectFirst } from './network/connect.ts';
import { authorityOf, type Endpoint } from './network/endpoint.ts';
import { performTlsHandshake, tlsOptionsOf } from './network/handshake.ts';
import { requirePermittedAddress, resolveAddresses, type Lookup } from './network/resolve.ts';
import { connectThroughProxy } from './network/tunnel.ts';
import { Wire } from './network/wire.ts';
import type { Steps } from './steps.ts';

/**
 * Runs the checks `resolve`, `connect` and `tls`, and returns a connection to the server, which the caller closes, or
 * undefined if a check failed. With a proxy, the proxy's name is looked up and connected to; the name of the server is
 * left to the proxy.
 */
export async function* checkConnection(
  endpoint: Endpoint,
  steps: Steps,
  lookup: Lookup,
): AsyncGenerator<Finding, Wire | undefined> {
  const { proxy } = endpoint;
  const next = proxy ?? endpoint;
  const resolved = yield* steps.run('resolve', async () => {
    if (proxy !== undefined) requirePermittedAddress(endpoint);
    return resolveAddresses(next, lookup);
  });
  if (resolved === undefined) return undefined;
  yield passed('resolve', endpoint, resolved.ms);

  const connected = yield* steps.run('connect', async (signal) => {
    const { address, socket } = await connectFirst(next, resolved.value, signal);
    return {
      address,
      socket: proxy === undefined ? socket : await connectThroughProxy(socket, proxy, endpoint, signal),
    };
  });
  if (connected === undefined) return undefined;
  yield passed('connect', endpoint, connected.ms);
  const { address, socket } = connected.value;
  if (!endpoint.isTls) {
    yield findingOf('tls', 'skipped', 'not_needed');
    return wireOf(endpoint, address, undefined, socket);
  }

  const secured = yield* steps.run('tls', async (signal) => {
    const options = tlsOptionsOf(endpoint);
    return { options, socket: await performTlsHandshake(socket, options, signal, endpoint.field) };
  });
  if (secured === undefined) {
    socket.destroy();
    return undefined;
  }
  const { options, socket: secure } = secured.value;
  yield endpoint.isVerified ? passed('tls', endpoint, secured.ms) : { ...unverified(endpoint), ms: secured.ms };
  return wireOf(endpoint, address, options, secure);
}

/** @param tls undefined if the connection does not use TLS */
function wireOf(endpoint: Endpoint, address: LookupAddress, tls: ConnectionOptions | undefined, first: Socket): Wire {
  const { proxy, field } = endpoint;
  const open = async (signal: AbortSignal): Promise<Socket> => {
    const { socket } = await connectFirst(proxy ?? endpoint, [address], signal);
    const passed = proxy === undefined ? socket : await connectThroughProxy(socket, proxy, endpoint, signal);
    return tls === undefined ? passed : performTlsHandshake(passed, tls, signal, field);
  };
  const isAskedWithUrls = proxy !== undefined && !endpoint.isTls;
  return new Wire({ first, open, base: isAskedWithUrls ? `http://${authorityOf(endpoint)}` : '' });
}

function passed(check: CheckId, { proxy }: Endpoint, ms: number): Finding {
  if (proxy === undefined) return { check, state: 'passed', ms };
  return { ...findingOf(check, 'passed', 'by_proxy', { subject: authorityOf(proxy) }), ms };
}

function unverified(endpoint: Endpoint): Finding {
  const detail = { field: 'skip_verify', subject: authorityOf(endpoint) };
  return findingOf('tls', 'warning', 'certificate_not_verified', detail);
}
