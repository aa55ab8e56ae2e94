import type { LookupAddress } from 'node:dns';
import { connect, type Socket } from 'node:net';

import { withTimeout } from '../deadline.ts';
import { detailOf, ProbeFailure } from '../failure.ts';
import { CONNECT_MS } from '../limits.ts';
import type { Endpoint } from './endpoint.ts';
import { authorityOf } from './endpoint.ts';
import { reasonOfSocketError } from './socket-error.ts';

/** Reasons in order of how much they tell: if several addresses failed, the first of these is reported. */
const MOST_SPECIFIC_FIRST = ['connection_refused', 'timed_out', 'connection_lost', 'unreachable'] as const;

/**
 * Connects to the first address that accepts the connection. The only error listener of the returned socket ignores
 * errors: its next owner sees an error as the end of its own operation.
 *
 * @throws ProbeFailure
 */
export async function connectFirst(
  endpoint: Endpoint,
  addresses: readonly LookupAddress[],
  signal: AbortSignal,
): Promise<{ readonly socket: Socket; readonly address: LookupAddress }> {
  const failures: ProbeFailure[] = [];
  for (const address of addresses) {
    try {
      const ms = CONNECT_MS / addresses.length;
      return { address, socket: await withTimeout(ms, signal, (signal) => connectTo(address, endpoint.port, signal)) };
    } catch (error) {
      if (!(error instanceof ProbeFailure) || signal.aborted) throw error;
      failures.push(error);
    }
  }
  const reason =
    MOST_SPECIFIC_FIRST.find((reason) => failures.some((failure) => failure.reason === reason)) ?? 'unreachable';
  throw new ProbeFailure(reason, detailOf(endpoint.field, authorityOf(endpoint)));
}

/** @throws ProbeFailure */
export function connectTo({ address, family }: LookupAddress, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    // Connecting to an address avoids another look-up, so that the address that was checked is the one that is used.
    const socket = connect({ host: address, port, family, noDelay: true, autoSelectFamily: false });
    const stop = (): void => {
      socket.destroy();
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', stop, { once: true });
    socket.once('connect', () => {
      signal.removeEventListener('abort', stop);
      resolve(socket);
    });
    socket.on('error', (error) => {
      signal.removeEventListener('abort', stop);
      reject(new ProbeFailure(reasonOfSocketError(error)));
    });
  });
}
