import { CredentialClient } from './client.ts';
import { Connection } from './connection.ts';
import { openNetTransport } from './net-transport.ts';
import { reachDaemon } from './reach.ts';
import { socketCandidates } from './socket-path.ts';
import type { OpenTransport } from './transport.ts';

/** Where the daemon is looked for, and how long it is waited for. */
export interface ConnectOptions {
  /**
   * Path of the socket. By default the one in the environment variable `CIO_CREDENTIAL_SOCKET`, or else the socket in
   * the directory `CIO_RUNTIME_DIR`. If neither is set, this user's daemon is tried first, then the system's; root
   * tries them in the opposite order.
   */
  readonly socket?: string | undefined;
  /** Closes the connection when aborted. Calls that are not answered yet, and any later ones, fail with its reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Longest wait for a place in the queue of a busy daemon's socket, and then, for each call that does not set its own
   * limit, for each reply; in milliseconds, 30,000 by default.
   */
  readonly timeoutMs?: number | undefined;
}

/** Most replies take microseconds; deriving a key from a passphrase takes some seconds on a slow machine. */
const TIMEOUT_MS = 30_000;

/**
 * Connects to the daemon.
 *
 * @throws ConnectionError if the daemon cannot be reached, with the reason
 * @throws the reason of an aborted signal
 *
 * @example
 * await using client = await connect({ timeoutMs: 5000 });
 */
export function connect(options: ConnectOptions = {}): Promise<CredentialClient> {
  return connectBy(openNetTransport, options);
}

/** Does the same as {@link connect}, over the transport that `open` makes. */
export async function connectBy(open: OpenTransport, options: ConnectOptions): Promise<CredentialClient> {
  const { signal, timeoutMs = TIMEOUT_MS } = options;
  const uid = process.geteuid?.() ?? 0;
  const candidates = socketCandidates({ socket: options.socket, environment: process.env, uid });
  const { transport, path } = await reachDaemon(candidates, open, { uid, timeoutMs, signal });
  const connection = new Connection(transport, path);
  if (signal !== undefined) connection.failOn(signal);
  return new CredentialClient(connection, timeoutMs);
}
