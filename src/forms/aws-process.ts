import type { AwsKeys } from './aws.ts';
import { toTimestamp } from './timestamp.ts';

/**
 * How long tools may use keys before they ask again, in milliseconds. Keys without an end of their own get one, too: without,
 * the SDKs would never ask again, and minio-go would ask before every request.
 */
export const PROCESS_LIFETIME_MS: number = 60 * 60 * 1000;

/** The output of a `credential_process`, which ends at `expiration` (milliseconds since 1970). */
export function formatCredentialProcess(
  { accessKeyId, secretAccessKey, sessionToken }: AwsKeys,
  expiration: number,
): string {
  const document = {
    Version: 1,
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    ...(sessionToken !== undefined && { SessionToken: sessionToken }),
    Expiration: toTimestamp(expiration),
  };
  return `${JSON.stringify(document)}\n`;
}

/**
 * The answer of the endpoint from which containers have their credentials. The token is there in any case: the SDK for
 * JavaScript wants a text, and takes an empty one for none.
 */
export function formatContainerCredentials(
  { accessKeyId, secretAccessKey, sessionToken = '' }: AwsKeys,
  expiration: number,
): string {
  return JSON.stringify({
    AccessKeyId: accessKeyId,
    SecretAccessKey: secretAccessKey,
    Token: sessionToken,
    Expiration: toTimestamp(expiration),
  });
}
