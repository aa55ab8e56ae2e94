import { environmentOf, type EnvironmentChange } from '../environment.ts';
import type { SetContent } from './set-content.ts';
import { requireProvider } from './set-content.ts';

/** Where a command asks for its keys, and what it has to show there. */
export interface CredentialEndpoint {
  readonly url: string;
  readonly token: string;
}

/**
 * Variables of the caller by which some SDK finds other keys, or asks elsewhere: botocore prefers the relative URI and
 * the file with a token, and minio-go has names of its own for static keys.
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
 * The variables of a set for a command that asks an endpoint for its keys, as it would do in a container: all but the
 * keys. The files of AWS and MinIO, in which SDKs look first, are empty for it, and the identity of the machine, where they
 * would look last, is switched off.
 *
 * @throws CredentialError `Incomplete`
 */
export function servedEnvironmentOf(content: SetContent, endpoint: CredentialEndpoint): EnvironmentChange {
  const provider = requireProvider(content);
  // To tools, it is a machine with an identity.
  const { set, clear } = environmentOf(content.set, provider, new Map([...content.values, ['use_iam', 'true']]));
  const variables = new Map([
    ...set,
    ['AWS_CONTAINER_CREDENTIALS_FULL_URI', endpoint.url],
    ['AWS_CONTAINER_AUTHORIZATION_TOKEN', endpoint.token],
    ['AWS_SHARED_CREDENTIALS_FILE', '/dev/null'],
    ['AWS_CONFIG_FILE', '/dev/null'],
    ['MINIO_SHARED_CREDENTIALS_FILE', '/dev/null'],
    ['AWS_EC2_METADATA_DISABLED', 'true'],
  ]);
  return { set: variables, clear: [...new Set([...clear, ...CONTRADICTING])].filter((name) => !variables.has(name)) };
}
