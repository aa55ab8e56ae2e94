import { ProbeFailure } from '../failure.ts';
import type { Endpoint } from '../network/endpoint.ts';
import type { ProbeJob } from '../../../src/validation.ts';

/** Hosts of Google's own. */
const GOOGLE_HOST = /^(?:[a-z0-9-]+\.)*googleapis\.com$/;

/** Hosts of Microsoft's own: its public cloud and those of China and of the government of the United States. */
const AZURE_HOST = /^[a-z0-9]+\.blob\.(?:core\.windows\.net|core\.chinacloudapi\.cn|core\.usgovcloudapi\.net)$/;

/**
 * A server that a token of the machine's may be shown: whoever sees one is that machine. So a set that uses the machine's
 * identity, and anybody may have written one, takes it to hosts of its own cloud only, and nobody's certificate but one
 * that this host trusts is good enough.
 *
 * @param authorities those that this host trusts, in tests
 * @throws ProbeFailure naming the field that would lead elsewhere
 */
export function ofOwnCloud(
  cloud: 'google' | 'azure',
  endpoint: Endpoint,
  values: ProbeJob['values'],
  authorities: string | undefined,
): Endpoint {
  const isOwn = (cloud === 'google' ? GOOGLE_HOST : AZURE_HOST).test(endpoint.host);
  if (!isOwn) throw elsewhere(endpoint.field ?? 'endpoint');
  const { proxy, authorities: _ofTheSet, ...rest } = endpoint;
  for (const field of ['endpoint_ca', 'skip_verify']) {
    if (!['', 'false', undefined].includes(values[field])) throw elsewhere(field);
  }
  const trusted = authorities === undefined ? {} : { authorities };
  const trustedProxy = proxy === undefined ? {} : { proxy: { ...proxy, ...trusted } };
  return { ...rest, ...trusted, ...trustedProxy };
}

function elsewhere(field: string): ProbeFailure {
  return new ProbeFailure('identity_elsewhere', { field, subject: field });
}
