import type { Reason } from '../../../src/validation.ts';
import { ProbeFailure } from '../failure.ts';

/** Error names of errno(3) and Node that tell why there is no connection, or no longer one. */
const REASONS_BY_CODE: ReadonlyMap<string, Reason> = new Map([
  ['ECONNREFUSED', 'connection_refused'],
  ['ETIMEDOUT', 'timed_out'],
  ['EHOSTUNREACH', 'unreachable'],
  ['ENETUNREACH', 'unreachable'],
  ['EADDRNOTAVAIL', 'unreachable'],
  ['EAFNOSUPPORT', 'unreachable'],
  ['EINVAL', 'unreachable'],
  // Refused by a sandbox or a firewall of this host.
  ['EACCES', 'unreachable'],
  ['EPERM', 'unreachable'],
]);

/** Maps an error of a socket to a reason; an unknown error counts as a lost connection. */
export function reasonOfSocketError(error: Error): Reason {
  return REASONS_BY_CODE.get((error as NodeJS.ErrnoException).code ?? '') ?? 'connection_lost';
}

/** Tells whether llhttp could not parse what was received as HTTP. */
export function isParseError(error: Error): boolean {
  return String((error as NodeJS.ErrnoException).code).startsWith('HPE_');
}

/** Maps an error of an HTTP request to a failure. */
export function failureOfRequest(error: Error): ProbeFailure {
  if (error instanceof ProbeFailure) return error;
  const code = String((error as NodeJS.ErrnoException).code);
  if (code === 'HPE_HEADER_OVERFLOW' || code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') {
    return new ProbeFailure('answer_too_large');
  }
  if (isParseError(error)) return new ProbeFailure('unexpected_answer', { subject: 'HTTP' });
  return new ProbeFailure(reasonOfSocketError(error));
}
