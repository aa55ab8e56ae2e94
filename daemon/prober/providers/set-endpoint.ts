import type { ProbeJob } from '../../../src/validation.ts';
import { ProbeFailure } from '../failure.ts';
import { authorityOf, type Endpoint } from '../network/endpoint.ts';

const HTTPS_PORT = 443;

/** Fields that change how or as whom one connects, and that are not served: to pass over them would prove nothing. */
const NOT_SERVED = ['use_iam', 'proxy'] as const;

/**
 * A server, reached by TLS as the set says.
 *
 * @param field the one that names the server
 * @throws ProbeFailure where that is no server, or where the set wants another way to it than there is
 */
export function endpointOfSet(url: string, values: ProbeJob['values'], field: string): Endpoint {
  const unserved = NOT_SERVED.find((field) => ![undefined, '', 'false'].includes(values[field]));
  if (unserved !== undefined) throw new ProbeFailure('not_supported', { field: unserved, subject: unserved });
  const { protocol, hostname, port } = URL.canParse(url) ? new URL(url) : {};
  if (protocol !== 'https:' || hostname === undefined || hostname === '') throw invalidValue(field);
  const authorities = values['endpoint_ca'];
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? HTTPS_PORT : Number(port),
    isTls: true,
    ...(authorities === undefined ? {} : { authorities }),
    isVerified: values['skip_verify'] !== 'true',
    isLinkLocalAllowed: values['allow_link_local'] === 'true',
  };
}

/** The value of the header Host: without the port that https has anyway. */
export function hostOf(endpoint: Endpoint): string {
  const authority = authorityOf(endpoint);
  return endpoint.port === HTTPS_PORT ? authority.slice(0, -`:${HTTPS_PORT}`.length) : authority;
}

/** @throws ProbeFailure where the set does not have it */
export function requiredValue(values: ProbeJob['values'], field: string): string {
  const value = values[field];
  if (value === undefined || value === '') throw new ProbeFailure('missing_field', { field, subject: field });
  return value;
}

export function invalidValue(field: string): ProbeFailure {
  return new ProbeFailure('invalid_value', { field, subject: field });
}
