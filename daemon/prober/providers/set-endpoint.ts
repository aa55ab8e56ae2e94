import { parseServer } from '../../../src/providers/server.ts';
import type { ProbeJob } from '../../../src/validation.ts';
import { ProbeFailure } from '../failure.ts';
import { authorityOf, type Endpoint } from '../network/endpoint.ts';

const HTTP_PORT = 80;
const HTTPS_PORT = 443;

/**
 * A server, reached as the set says.
 *
 * @param url its scheme, host and port; what comes behind them is of no account
 * @param field the one that names the server; undefined where none does
 * @throws ProbeFailure where that is no server, or the set's proxy is none
 */
export function endpointOf(url: string, values: ProbeJob['values'], field: string | undefined): Endpoint {
  const server = hostAndPortOf(url, field ?? 'endpoint');
  const authorities = values['endpoint_ca'];
  const way = {
    ...(authorities === undefined ? {} : { authorities }),
    isVerified: values['skip_verify'] !== 'true',
    isLinkLocalAllowed: values['allow_link_local'] === 'true',
  };
  const proxy = isGiven(values['proxy']) ? { ...proxyServerOf(values['proxy']), ...way, field: 'proxy' } : undefined;
  return {
    ...server,
    ...way,
    ...(field === undefined ? {} : { field }),
    ...(proxy === undefined ? {} : { proxy }),
  };
}

/**
 * The same for a server that is asked by TLS only.
 *
 * @throws ProbeFailure
 */
export function endpointOfSet(url: string, values: ProbeJob['values'], field: string | undefined): Endpoint {
  const endpoint = endpointOf(url, values, field);
  if (!endpoint.isTls) throw invalidValue(field ?? 'endpoint');
  return endpoint;
}

/** The value of the header Host: without the port that https has anyway. */
export function hostOf(endpoint: Endpoint): string {
  const authority = authorityOf(endpoint);
  return endpoint.port === HTTPS_PORT ? authority.slice(0, -`:${HTTPS_PORT}`.length) : authority;
}

export function isGiven(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}

/** @throws ProbeFailure where the set does not have it */
export function requiredValue(values: ProbeJob['values'], field: string): string {
  const value = values[field];
  if (!isGiven(value)) throw missingValue(field);
  return value;
}

/** Whether the machine's own identity takes the place of keys. @throws ProbeFailure where the set says neither yes nor no */
export function usesIdentity({ use_iam: text = '' }: ProbeJob['values']): boolean {
  if (!['', 'true', 'false'].includes(text)) throw invalidValue('use_iam');
  return text === 'true';
}

export function missingValue(field: string): ProbeFailure {
  return new ProbeFailure('missing_field', { field, subject: field });
}

export function invalidValue(field: string): ProbeFailure {
  return new ProbeFailure('invalid_value', { field, subject: field });
}

/** A proxy with a user or a path is none that the field takes. */
function proxyServerOf(text: string): Pick<Endpoint, 'host' | 'port' | 'isTls'> {
  const server = /^https?:\/\//.test(text) ? parseServer(text.replace(/\/$/, '')) : undefined;
  if (server === undefined || 'reason' in server) throw invalidValue('proxy');
  return hostAndPortOf(server.endpoint, 'proxy');
}

/** Reads 0x7f.1 and [::1]:9000 as everybody else does. */
function hostAndPortOf(url: string, field: string): Pick<Endpoint, 'host' | 'port' | 'isTls'> {
  const { protocol, hostname, port } = URL.canParse(url) ? new URL(url) : {};
  const isTls = protocol === 'https:';
  if ((!isTls && protocol !== 'http:') || hostname === undefined || hostname === '') throw invalidValue(field);
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? (isTls ? HTTPS_PORT : HTTP_PORT) : Number(port),
    isTls,
  };
}
