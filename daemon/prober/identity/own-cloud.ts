import { ProbeFailure } from '../failure.ts';
import type { Endpoint } from '../network/endpoint.ts';
import type { ProbeJob } from '../../../src/validation.ts';

/** Google's own hosts. */
const GOOGLE_HOST = /^(?:[a-z0-9-]+\.)*googleapis\.com$/;

/** Microsoft's own hosts: of its public cloud, and of those for China and for the government of the United States. */
const AZURE_HOST = /^[a-z0-9]+\.blob\.(?:core\.windows\.net|core\.chinacloudapi\.cn|core\.usgovcloudapi\.net)$/;

/**
 * Returns the endpoint if a token of the machine's identity may be sent to it. Anyone who gets such a token can act as
 * the machine, and anybody may have written the set. The token is therefore sent only to hosts of its own cloud, with a
 * certificate that this host trusts.
 *
 * @param authorities for tests: the certificate authorities that this host trusts
 * @throws ProbeFailure naming the field that would lead elsewhere
 */
export function requireOwnCloud(
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
