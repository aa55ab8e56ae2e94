import { CredentialClient } from './client.ts';
import { Connection } from './connection.ts';
import { openNetTransport } from './net-transport.ts';
import { reachDaemon } from './reach.ts';
import { socketCandidates } from './socket-path.ts';
import type { OpenTransport } from './transport.ts';

/** How to reach the daemon. */
export interface ConnectOptions {
  /** Path of the socket. Else `CIO_CREDENTIAL_SOCKET`, else where a daemon of the system or of this user listens. */
  readonly socket?: string | undefined;
  /** Ends the connection, and whatever is under way on it, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Longest time for the connection, and then for the next answer, in milliseconds. */
  readonly timeoutMs?: number | undefined;
}

/** An answer takes microseconds; a passphrase some seconds on a slow machine. */
const TIMEOUT_MS = 30_000;

/**
 * Connects to the daemon.
 *
 * @throws ConnectionError if it cannot be reached, with the reason
 */
export function connect(options: ConnectOptions = {}): Promise<CredentialClient> {
  return connectBy(openNetTransport, options);
}

/** The same over another transport than `node:net`. */
export async function connectBy(open: OpenTransport, options: ConnectOptions): Promise<CredentialClient> {
  const { signal, timeoutMs = TIMEOUT_MS } = options;
  const uid = process.geteuid?.() ?? 0;
  const candidates = socketCandidates({ socket: options.socket, environment: process.env, uid });
  const { transport, path } = await reachDaemon(candidates, open, { uid, timeoutMs, signal });
  const connection = new Connection(transport, path);
  if (signal !== undefined) connection.failOn(signal);
  return new CredentialClient(connection, timeoutMs);
}
