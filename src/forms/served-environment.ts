import { environmentOf, type EnvironmentChange } from '../environment.ts';
import type { SetContent } from './set-content.ts';
import { requireProvider } from './set-content.ts';

/** The endpoint from which a command gets its keys, and the token that it has to send. */
export interface CredentialEndpoint {
  readonly url: string;
  readonly token: string;
}

/**
 * Variables that make some SDK use other keys or another endpoint: botocore prefers the relative URI and the file with
 * a token, and minio-go has its own names for static keys.
 */
const CONTRADICTING: readonly string[] = [
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE',
  'AWS_ROLE_ARN',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'RESTIC_AWS_ASSUME_ROLE_ARN',
  'AWS_ACCESS_KEY',
  'AWS_SECRET_KEY',
  'MINIO_ROOT_USER',
  'MINIO_ROOT_PASSWORD',
  'MINIO_ACCESS_KEY',
  'MINIO_SECRET_KEY',
];

/**
 * Returns the variables of a set for a command that gets its keys from an endpoint, as in a container: all but the
 * keys. The files of AWS and MinIO, which SDKs read before they ask the endpoint, are set to `/dev/null`; the machine's
 * own identity, which they would try last, is disabled.
 *
 * @throws CredentialError `Incomplete`
 */
export function servedEnvironmentOf(content: SetContent, endpoint: CredentialEndpoint): EnvironmentChange {
  const provider = requireProvider(content);
  // Treat the set as one that uses the machine's own identity, so that its keys are left out.
  const { set, unset } = environmentOf(content.set, provider, new Map([...content.values, ['use_iam', 'true']]));
  const variables = new Map([
    ...set,
    ['AWS_CONTAINER_CREDENTIALS_FULL_URI', endpoint.url],
    ['AWS_CONTAINER_AUTHORIZATION_TOKEN', endpoint.token],
    ['AWS_SHARED_CREDENTIALS_FILE', '/dev/null'],
    ['AWS_CONFIG_FILE', '/dev/null'],
    ['MINIO_SHARED_CREDENTIALS_FILE', '/dev/null'],
    ['AWS_EC2_METADATA_DISABLED', 'true'],
  ]);
  return { set: variables, unset: [...new Set([...unset, ...CONTRADICTING])].filter((name) => !variables.has(name)) };
}
