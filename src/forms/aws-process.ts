import type { AwsKeys } from './aws.ts';
import { toTimestamp } from './timestamp.ts';

/**
 * How long tools may use keys before they ask again, in milliseconds. Keys that do not expire get an expiration too:
 * without one, the SDKs would never ask again, and minio-go would ask before every request.
 */
export const PROCESS_LIFETIME_MS: number = 60 * 60 * 1000;

/** Formats keys as the output of a `credential_process`, to expire at `expiration` (milliseconds since 1970). */
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
 * Formats keys as the response of AWS's endpoint for containers. `Token` is always present: the SDK for JavaScript
 * requires a string, and treats an empty one as none.
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
