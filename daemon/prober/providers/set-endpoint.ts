import { parseServer } from '../../../src/providers/server.ts';
import type { ProbeJob } from '../../../src/validation.ts';
import { ProbeFailure } from '../failure.ts';
import { authorityOf, type Endpoint } from '../network/endpoint.ts';

const HTTP_PORT = 80;
const HTTPS_PORT = 443;

/**
 * Makes the endpoint of a server, with the set's settings for TLS and its proxy.
 *
 * @param url scheme, host and port of the server; anything after them is ignored
 * @param field the field that names the server; undefined if none does
 * @throws ProbeFailure if the server or the set's proxy is not valid
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
 * Like {@link endpointOf}, for a server that must use TLS.
 *
 * @throws ProbeFailure
 */
export function tlsEndpointOf(url: string, values: ProbeJob['values'], field: string | undefined): Endpoint {
  const endpoint = endpointOf(url, values, field);
  if (!endpoint.isTls) throw invalidValue(field ?? 'endpoint');
  return endpoint;
}

/** Returns the value of the header `Host`, without the port if that is the default of https. */
export function hostHeaderOf(endpoint: Endpoint): string {
  const authority = authorityOf(endpoint);
  return endpoint.port === HTTPS_PORT ? authority.slice(0, -`:${HTTPS_PORT}`.length) : authority;
}

export function isGiven(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}

/** Returns the value of a field. @throws ProbeFailure if the set does not have the field */
export function requiredValue(values: ProbeJob['values'], field: string): string {
  const value = values[field];
  if (!isGiven(value)) throw missingValue(field);
  return value;
}

/** Tells whether the machine's identity is used instead of keys. @throws ProbeFailure if `use_iam` is not a boolean */
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

/** Reads a proxy. The field accepts none with a user or a path. */
function proxyServerOf(text: string): Pick<Endpoint, 'host' | 'port' | 'isTls'> {
  const server = /^https?:\/\//.test(text) ? parseServer(text.replace(/\/$/, '')) : undefined;
  if (server === undefined || 'reason' in server) throw invalidValue('proxy');
  return hostAndPortOf(server.endpoint, 'proxy');
}

/** Parses a URL as browsers and Node do, forms such as 0x7f.1 and [::1]:9000 included. */
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
