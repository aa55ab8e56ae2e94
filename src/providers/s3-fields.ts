import type { Field } from './provider.ts';
import { parseS3Repository } from './s3-repository.ts';

/** The repository, in the form that restic takes. */
export const BACKUP_REPO: Field = {
  id: 'backup_repo',
  label: 'Repository',
  isSecret: false,
  isRequired: true,
  input: 'text',
  example: 's3:https://s3.amazonaws.com/backup-123',
  variables: ['RESTIC_REPOSITORY'],
  check(text) {
    const repository = parseS3Repository(text);
    return 'reason' in repository ? `${repository.reason}; it looks like s3:https://HOST/BUCKET` : undefined;
  },
};

export const ACCESS_KEY: Field = {
  id: 'access_key',
  label: 'Access key',
  isSecret: false,
  isRequired: true,
  input: 'text',
  variables: ['AWS_ACCESS_KEY_ID'],
  check: checkHeaderText,
};

export const SECRET_KEY: Field = {
  id: 'secret_key',
  label: 'Secret key',
  isSecret: true,
  isRequired: true,
  input: 'password',
  variables: ['AWS_SECRET_ACCESS_KEY'],
  check: checkHeaderText,
};

/** The password that opens the repository. Any text that an environment variable can hold; restic takes it as it is. */
export const BACKUP_PASSWORD: Field = {
  id: 'backup_password',
  label: 'Repository password',
  isSecret: true,
  isRequired: true,
  input: 'password',
  variables: ['RESTIC_PASSWORD'],
  check: (text) => (text.includes('\0') ? 'it has a NUL character, at which an environment variable ends' : undefined),
};

export const REGION: Field = {
  id: 'region',
  label: 'Region',
  isSecret: false,
  isRequired: false,
  input: 'text',
  example: 'eu-central-1',
  variables: ['AWS_DEFAULT_REGION', 'AWS_REGION'],
  check: checkHeaderText,
};

/** Comes with temporary keys (AWS STS). */
export const SESSION_TOKEN: Field = {
  id: 'session_token',
  label: 'Session token',
  isSecret: true,
  isRequired: false,
  input: 'textarea',
  variables: ['AWS_SESSION_TOKEN'],
  check: checkHeaderText,
};

/** The ids that name a provider, those included that are not supported yet. */
export const PROVIDER_IDS: readonly string[] = ['aws', 'minio', 'azure', 'google', 'openstack', 's3'];

/** Names the provider where the name of the set does not, as in `cio_offsite_provider`. */
export const PROVIDER: Field = {
  id: 'provider',
  label: 'Provider',
  isSecret: false,
  isRequired: false,
  input: 'text',
  example: 's3',
  variables: [],
  check: (text) => (PROVIDER_IDS.includes(text) ? undefined : `it is none of ${PROVIDER_IDS.join(', ')}`),
};

/** All fields of a provider that speaks S3. */
export const S3_FIELDS: readonly Field[] = [
  BACKUP_REPO,
  ACCESS_KEY,
  SECRET_KEY,
  BACKUP_PASSWORD,
  REGION,
  SESSION_TOKEN,
  PROVIDER,
];

/** Options of rclone's s3 backend that are fields of a set. */
export const S3_RCLONE_OPTIONS = {
  ACCESS_KEY_ID: 'access_key',
  SECRET_ACCESS_KEY: 'secret_key',
  SESSION_TOKEN: 'session_token',
  REGION: 'region',
} as const;

/**
 * Where restic, rclone and the AWS tools look before, or besides, the variables that a set provides. Left in place, an
 * old session token or a password file would be used together with the set's own keys.
 */
export const S3_CONTRADICTING: readonly string[] = [
  'RESTIC_REPOSITORY_FILE',
  'RESTIC_PASSWORD_FILE',
  'RESTIC_PASSWORD_COMMAND',
  'RESTIC_AWS_ASSUME_ROLE_ARN',
  'AWS_SESSION_TOKEN',
  'AWS_SECURITY_TOKEN',
  'AWS_PROFILE',
  'AWS_DEFAULT_PROFILE',
  'AWS_REGION',
  'AWS_DEFAULT_REGION',
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_S3',
  'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS',
  'AWS_ROLE_ARN',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
  'RCLONE_S3_ENDPOINT',
  'RCLONE_S3_REGION',
  'RCLONE_S3_SESSION_TOKEN',
];

/** Keys, regions and tokens travel in HTTP headers: no white space, no control characters. */
function checkHeaderText(text: string): string | undefined {
  return /^[\x21-\x7e]+$/.test(text) ? undefined : 'it has spaces, line ends or characters outside ASCII';
}
