import type { Reason } from '../../../src/validation.ts';
import { ProbeFailure } from '../failure.ts';

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

/** Whether what came is no HTTP, as llhttp reads it. */
export function isParseError(error: Error): boolean {
  return String((error as NodeJS.ErrnoException).code).startsWith('HPE_');
}

/** What an error of a request over HTTP means. */
export function failureOfRequest(error: Error): ProbeFailure {
  if (error instanceof ProbeFailure) return error;
  const code = String((error as NodeJS.ErrnoException).code);
  if (code === 'HPE_HEADER_OVERFLOW' || code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    return new ProbeFailure('answer_too_large');
  }
  if (isParseError(error)) return new ProbeFailure('unexpected_answer', { subject: 'HTTP' });
  return new ProbeFailure(reasonOfSocketError(error));
}
