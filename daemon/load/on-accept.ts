import type { Server } from 'node:net';

/** What Node calls for each connection of a listening server; `client` has its descriptor. */
type OnConnection = (this: unknown, status: number, client?: { readonly fd?: unknown }) => void;

/**
 * Calls back with the descriptor of each connection as soon as the kernel gave it, before Node makes a `Socket` of it,
 * which takes ten times longer than to send the descriptor on.
 *
 * It stands between Node's handle and Node, where there is no public way; with a Node that has another inside nothing is
 * called, and connections are as they would be without.
 */
export function onAccept(server: Server, accepted: (fd: number) => void): void {
  const handle = (server as unknown as { _handle?: { onconnection?: unknown } })._handle;
  const original = handle?.onconnection;
  if (handle === undefined || typeof original !== 'function') return;
  const onConnection: OnConnection = function (status, client) {
    if (typeof client?.fd === 'number') accepted(client.fd);
    (original as OnConnection).call(this, status, client);
  };
  handle.onconnection = onConnection;
}
