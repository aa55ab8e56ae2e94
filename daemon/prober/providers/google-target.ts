import { GOOGLE_ENDPOINT, parseGoogleEndpoint, parseGoogleRepository } from '../../../src/providers/google.ts';
import { parseServiceAccount, type ServiceAccount } from '../../../src/providers/service-account.ts';
import type { ProbeJob } from '../../../src/validation.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { endpointOfSet, invalidValue, requiredValue } from './set-endpoint.ts';

/** One bucket of Google Storage, and the account that asks for it: what a set says, once it was understood. */
export interface GoogleTarget {
  readonly endpoint: Endpoint;
  readonly bucket: string;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
  readonly account: ServiceAccount;
  /** The server that gives out tokens, as the account names it. */
  readonly tokenEndpoint: Endpoint;
}

/**
 * Reads a set.
 *
 * @throws ProbeFailure naming the field that is missing or of no use
 */
export function readGoogleTarget({ values }: ProbeJob): GoogleTarget {
  const server = parseGoogleEndpoint(values['endpoint'] ?? GOOGLE_ENDPOINT);
  if ('reason' in server) throw invalidValue('endpoint');
  const endpoint = endpointOfSet(server.endpoint, values, 'endpoint');
  const repository = parseGoogleRepository(requiredValue(values, 'backup_repo'));
  if ('reason' in repository) throw invalidValue('backup_repo');
  const account = parseServiceAccount(requiredValue(values, 'service_account'));
  if ('reason' in account) throw invalidValue('service_account');
  return {
    endpoint,
    bucket: repository.bucket,
    prefix: repository.prefix === '' ? '' : `${repository.prefix}/`,
    account,
    tokenEndpoint: endpointOfSet(account.tokenUri, values, 'service_account'),
  };
}
