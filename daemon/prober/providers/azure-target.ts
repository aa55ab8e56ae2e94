import { azureHostOf, parseAzureRepository } from '../../../src/providers/azure.ts';
import type { ProbeJob } from '../../../src/validation.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { endpointOfSet, invalidValue, requiredValue } from './set-endpoint.ts';

/** One container of one account, and its key: what a set says, once it was understood. */
export interface AzureTarget {
  readonly endpoint: Endpoint;
  /** Of the container. */
  readonly url: string;
  readonly container: string;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
  readonly account: string;
  readonly key: string;
}

/**
 * Reads a set.
 *
 * @throws ProbeFailure naming the field that is missing or of no use
 */
export function readAzureTarget({ values }: ProbeJob): AzureTarget {
  const suffix = values['endpoint_suffix'];
  const account = requiredValue(values, 'account_name');
  const url = `https://${azureHostOf(account, suffix)}`;
  const endpoint = endpointOfSet(url, values, suffix === undefined ? 'account_name' : 'endpoint_suffix');
  const repository = parseAzureRepository(requiredValue(values, 'backup_repo'));
  if ('reason' in repository) throw invalidValue('backup_repo');
  const { bucket: container, prefix } = repository;
  return {
    endpoint,
    url: `${url}/${container}`,
    container,
    prefix: prefix === '' ? '' : `${prefix}/`,
    account,
    key: requiredValue(values, 'account_key'),
  };
}
