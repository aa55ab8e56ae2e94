import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP, type Socket } from 'node:net';
import { connect, getCACertificates, type ConnectionOptions, type TLSSocket } from 'node:tls';

import type { Reason } from '../../../src/validation.ts';
import { detailOf, ProbeFailure } from '../failure.ts';
import type { Endpoint } from './endpoint.ts';

/** Error codes of OpenSSL (`X509_V_ERR_…`) and Node that have a reason of their own. */
const REASONS_BY_CODE: ReadonlyMap<string, Reason> = new Map([
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'certificate_wrong_host'],
  ['CERT_HAS_EXPIRED', 'certificate_expired'],
  ['CERT_NOT_YET_VALID', 'certificate_expired'],
  // The answer does not consist of TLS records.
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'not_tls'],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'not_tls'],
  ['ERR_SSL_HTTP_REQUEST', 'not_tls'],
  ['EPROTO', 'tls_failed'],
  ['ECONNRESET', 'connection_lost'],
  ['EPIPE', 'connection_lost'],
]);

/** The names of all other errors of OpenSSL about a certificate chain. */
const UNTRUSTED = /^(?:CERT_|CRL_|INVALID_|PATH_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|HOSTNAME_MISMATCH|ERROR_IN_CERT_)/;

/** Where distributions keep the authorities that a host trusts, in the order in which Go, and so restic, tries them. */
const AUTHORITY_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/tls/cacert.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/**
 * Returns the options for every handshake with a server. If the set has no authorities of its own, those of this host
 * apply, as they do for restic; on a host that has none, those of Node.
 *
 * @throws ProbeFailure if the set's own authorities are not valid certificates
 */
export function tlsOptionsOf(endpoint: Endpoint): ConnectionOptions {
  const { host, authorities, isVerified } = endpoint;
  const name = host.replace(/\.$/, '');
  return {
    host: name,
    ...(isIP(name) === 0 ? { servername: name } : {}),
    ca: authorities === undefined ? hostAuthorities() : parseAuthorities(authorities),
    rejectUnauthorized: isVerified,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['http/1.1'],
  };
}

/**
 * Performs the TLS handshake on a connected socket.
 *
 * @param field the field of the set that names the server
 * @throws ProbeFailure
 */
export function performTlsHandshake(
  socket: Socket,
  options: ConnectionOptions,
  signal: AbortSignal,
  field: string | undefined,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const secure = connect({ ...options, socket });
    const stop = (): void => {
      secure.destroy();
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', stop, { once: true });
    secure.once('secureConnect', () => {
      signal.removeEventListener('abort', stop);
      resolve(secure);
    });
    secure.on('error', (error: NodeJS.ErrnoException) => {
      signal.removeEventListener('abort', stop);
      reject(failureOf(error.code ?? '', options.host ?? '', field));
    });
  });
}

function failureOf(code: string, host: string, field: string | undefined): ProbeFailure {
  const reason = REASONS_BY_CODE.get(code) ?? (UNTRUSTED.test(code) ? 'certificate_not_trusted' : 'tls_failed');
  if (reason === 'certificate_wrong_host') return new ProbeFailure(reason, detailOf(field, host));
  if (reason === 'certificate_not_trusted') return new ProbeFailure(reason, { field: 'endpoint_ca' });
  return new ProbeFailure(reason, detailOf(reason === 'not_tls' ? field : undefined, undefined));
}

/** Returns the authorities from the first file that exists on the host, in PEM, or else Node's own list. */
function hostAuthorities(): string | string[] {
  for (const file of AUTHORITY_FILES) {
    try {
      return readFileSync(file, 'utf8');
    } catch {
      // The path of another distribution.
    }
  }
  return getCACertificates('bundled');
}

/** OpenSSL would skip invalid certificates, and then trust nobody. An error here names the field that is wrong. */
function parseAuthorities(text: string): string[] {
  const certificates = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (certificates.length === 0 || !certificates.every(isCertificate)) {
    throw new ProbeFailure('invalid_value', { field: 'endpoint_ca', subject: 'endpoint_ca' });
  }
  return certificates;
}

function isCertificate(text: string): boolean {
  try {
    return new X509Certificate(text).raw.length > 0;
  } catch {
    return false;
  }
}
