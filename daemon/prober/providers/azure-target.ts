import { azureHostOf, isContainer, parseAzureRepository } from '../../../src/providers/azure.ts';
import type { ProbeJob } from '../../../src/validation.ts';
import type { HostServices } from '../host-services.ts';
import { requireOwnCloud } from '../identity/own-cloud.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { tlsEndpointOf, requiredValue, usesIdentity } from './set-endpoint.ts';
import { readPath } from './set-path.ts';

/** The parsed values of a set: an account, usually with one of its containers, and the account's key. */
export interface AzureTarget {
  readonly endpoint: Endpoint;
  /** The URL of the account. */
  readonly url: string;
  readonly container: string | undefined;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  readonly account: string;
  /** Undefined if the machine's identity is used instead. */
  readonly key: string | undefined;
}

/**
 * Parses a set.
 *
 * @throws ProbeFailure naming the field that is missing or not valid
 */
export function readAzureTarget({ values }: ProbeJob, { authorities }: Pick<HostServices, 'authorities'>): AzureTarget {
  const suffix = values['endpoint_suffix'];
  const account = requiredValue(values, 'account_name');
  const url = `https://${azureHostOf(account, suffix)}`;
  const endpoint = tlsEndpointOf(url, values, suffix === undefined ? 'account_name' : 'endpoint_suffix');
  const { bucket: container, prefix } = readPath(values, parseAzureRepository, isContainer);
  const isByIdentity = usesIdentity(values);
  return {
    endpoint: isByIdentity ? requireOwnCloud('azure', endpoint, values, authorities) : endpoint,
    url,
    container,
    prefix,
    account,
    key: isByIdentity ? undefined : requiredValue(values, 'account_key'),
  };
}
