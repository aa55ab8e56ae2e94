import {
  GOOGLE_ENDPOINT,
  isGoogleBucket,
  parseGoogleEndpoint,
  parseGoogleRepository,
} from '../../../src/providers/google.ts';
import { parseServiceAccount, type ServiceAccount } from '../../../src/providers/service-account.ts';
import type { ProbeJob } from '../../../src/validation.ts';
import type { HostServices } from '../host-services.ts';
import { requireOwnCloud } from '../identity/own-cloud.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { tlsEndpointOf, invalidValue, isGiven, requiredValue, usesIdentity } from './set-endpoint.ts';
import { readPath } from './set-path.ts';

/** The parsed values of a set: the endpoint, usually a bucket, and the service account that accesses it. */
export interface GoogleTarget {
  readonly endpoint: Endpoint;
  readonly bucket: string | undefined;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  /** The project in which a bucket is created. */
  readonly project: string | undefined;
  /** Where a bucket is created; undefined leaves the choice to Google. */
  readonly location: string | undefined;
  /** Undefined if the machine's identity is used instead. */
  readonly account: GoogleAccount | undefined;
}

export interface GoogleAccount extends ServiceAccount {
  /** The token server that the account names. */
  readonly tokenEndpoint: Endpoint;
}

/**
 * Parses a set.
 *
 * @throws ProbeFailure naming the field that is missing or not valid
 */
export function readGoogleTarget(
  { values }: ProbeJob,
  { authorities }: Pick<HostServices, 'authorities'>,
): GoogleTarget {
  const named = values['endpoint'];
  const server = parseGoogleEndpoint(named ?? GOOGLE_ENDPOINT);
  if ('reason' in server) throw invalidValue('endpoint');
  const endpoint = tlsEndpointOf(server.endpoint, values, named === undefined ? undefined : 'endpoint');
  const isByIdentity = usesIdentity(values);
  return {
    endpoint: isByIdentity ? requireOwnCloud('google', endpoint, values, authorities) : endpoint,
    ...readPath(values, parseGoogleRepository, isGoogleBucket),
    project: isGiven(values['project_id']) ? values['project_id'] : undefined,
    location: isGiven(values['region']) ? values['region'] : undefined,
    account: isByIdentity ? undefined : accountOf(values),
  };
}

function accountOf(values: ProbeJob['values']): GoogleAccount {
  const account = parseServiceAccount(requiredValue(values, 'service_account'));
  if ('reason' in account) throw invalidValue('service_account');
  return { ...account, tokenEndpoint: tlsEndpointOf(account.tokenUri, values, 'service_account') };
}
