import { azureHostOf, isContainer, parseAzureRepository } from '../../../src/providers/azure.ts';
import type { ProbeJob } from '../../../src/validation.ts';
import { ofOwnCloud } from '../identity/own-cloud.ts';
import type { Endpoint } from '../network/endpoint.ts';
import type { Surroundings } from '../surroundings.ts';
import { endpointOfSet, requiredValue, usesIdentity } from './set-endpoint.ts';
import { readPath } from './set-path.ts';

/** One account, mostly with a container of it, and its key: what a set says, once it was understood. */
export interface AzureTarget {
  readonly endpoint: Endpoint;
  /** Of the account. */
  readonly url: string;
  readonly container: string | undefined;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
  readonly account: string;
  /** Undefined where the machine's own identity takes its place. */
  readonly key: string | undefined;
}

/**
 * Reads a set.
 *
 * @throws ProbeFailure naming the field that is missing or of no use
 */
export function readAzureTarget({ values }: ProbeJob, { authorities }: Pick<Surroundings, 'authorities'>): AzureTarget {
  const suffix = values['endpoint_suffix'];
  const account = requiredValue(values, 'account_name');
  const url = `https://${azureHostOf(account, suffix)}`;
  const endpoint = endpointOfSet(url, values, suffix === undefined ? 'account_name' : 'endpoint_suffix');
  const { bucket: container, prefix } = readPath(values, parseAzureRepository, isContainer);
  const isByIdentity = usesIdentity(values);
  return {
    endpoint: isByIdentity ? ofOwnCloud('azure', endpoint, values, authorities) : endpoint,
    url,
    container,
    prefix,
    account,
    key: isByIdentity ? undefined : requiredValue(values, 'account_key'),
  };
}
