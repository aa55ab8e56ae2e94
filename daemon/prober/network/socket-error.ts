import type { Reason } from '../../../src/validation.ts';

/** Names of errno(3) and of Node that say why there is no connection, or none any more. */
const REASONS_BY_CODE: ReadonlyMap<string, Reason> = new Map([
  ['ECONNREFUSED', 'connection_refused'],
  ['ETIMEDOUT', 'timed_out'],
  ['EHOSTUNREACH', 'unreachable'],
  ['ENETUNREACH', 'unreachable'],
  ['EADDRNOTAVAIL', 'unreachable'],
  ['EAFNOSUPPORT', 'unreachable'],
  ['EINVAL', 'unreachable'],
  // A sandbox or a firewall of this host says no.
  ['EACCES', 'unreachable'],
  ['EPERM', 'unreachable'],
]);

/** What an error of a socket means; what it is not known for is a connection that broke. */
export function reasonOfSocketError(error: Error): Reason {
  return REASONS_BY_CODE.get((error as NodeJS.ErrnoException).code ?? '') ?? 'connection_lost';
}
