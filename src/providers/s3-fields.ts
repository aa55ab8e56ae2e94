import {
  BACKUP_PASSWORD,
  BUCKET,
  checkBoolean,
  checkHeaderText,
  checkOneOf,
  CONNECTION_FIELDS,
  optionalText,
  PREFIX,
  PROVIDER,
  RELOAD_UNITS,
  repositoryField,
  RESTIC_CONTRADICTING,
  USE_IAM,
} from './common-fields.ts';
import type { Derived, Field, Provider, RcloneOptions } from './provider.ts';
import { isAmazon, parseS3Repository } from './s3-repository.ts';
import { parseServer } from './server.ts';

/** The repository of an S3 provider. Those of other providers have other forms. */
export const BACKUP_REPO: Field = repositoryField(
  's3:https://s3.amazonaws.com/backup-123',
  's3:https://HOST/BUCKET',
  parseS3Repository,
);

export const ACCESS_KEY: Field = {
  id: 'access_key',
  label: 'Access key',
  isSecret: false,
  isRequired: true,
  isReplacedByIdentity: true,
  input: 'text',
  variables: ['AWS_ACCESS_KEY_ID'],
  check: checkHeaderText,
};

export const SECRET_KEY: Field = {
  id: 'secret_key',
  label: 'Secret key',
  isSecret: true,
  isRequired: true,
  isReplacedByIdentity: true,
  input: 'password',
  variables: ['AWS_SECRET_ACCESS_KEY'],
  check: checkHeaderText,
};

/** The region, part of host names and of signatures. Servers other than Amazon's can use any names. */
export const REGION: Field = {
  ...optionalText('region', 'Region'),
  example: 'eu-central-1',
  variables: ['AWS_DEFAULT_REGION', 'AWS_REGION'],
  check: (text) => (/^[A-Za-z0-9._-]{1,64}$/.test(text) ? undefined : 'it is not 1 to 64 letters, digits and . _ -'),
};

/** The session token of temporary keys (AWS STS). */
export const SESSION_TOKEN: Field = {
  id: 'session_token',
  label: 'Session token',
  isSecret: true,
  isRequired: false,
  isReplacedByIdentity: true,
  input: 'textarea',
  variables: ['AWS_SESSION_TOKEN'],
  check: checkHeaderText,
};

/**
 * Servers, separated by commas, for tools that do not read the repository; these use the first. restic uses only the
 * server in the repository.
 */
export const ENDPOINT: Field = {
  ...optionalText('endpoint', 'Endpoint'),
  example: 'https://s3.eu-central-1.amazonaws.com',
  check(text) {
    const refusal = text
      .split(',')
      .map(parseServer)
      .find((server) => 'reason' in server);
    return refusal === undefined || !('reason' in refusal)
      ? undefined
      : `${refusal.reason}; it should look like HOST:PORT`;
  },
};

/** Whether the bucket is in the path, not in front of the host. restic has an option for this, but no variable. */
export const PATH_STYLE: Field = { ...optionalText('path_style', 'Bucket in the path'), check: checkBoolean };

/**
 * One of Amazon's storage classes whose objects can be read immediately. A repository in GLACIER or DEEP_ARCHIVE
 * cannot be opened. restic has an option for this, but no variable.
 */
export const STORAGE_CLASS: Field = {
  ...optionalText('storage_class', 'Storage class'),
  example: 'STANDARD_IA',
  check: checkOneOf([
    'STANDARD',
    'STANDARD_IA',
    'ONEZONE_IA',
    'INTELLIGENT_TIERING',
    'GLACIER_IR',
    'REDUCED_REDUNDANCY',
  ]),
};

/** Encryption by the server: a value of the header `x-amz-server-side-encryption`. */
export const SSE: Field = {
  ...optionalText('sse', 'Encryption by the server'),
  example: 'AES256',
  check: checkOneOf(['AES256', 'aws:kms']),
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
  ENDPOINT,
  BUCKET,
  PREFIX,
  PATH_STYLE,
  STORAGE_CLASS,
  SSE,
  USE_IAM,
  ...CONNECTION_FIELDS,
  RELOAD_UNITS,
];

/** Options of rclone's s3 backend, each with the field that its value comes from. */
const RCLONE_OPTIONS = {
  ACCESS_KEY_ID: 'access_key',
  SECRET_ACCESS_KEY: 'secret_key',
  SESSION_TOKEN: 'session_token',
  REGION: 'region',
  STORAGE_CLASS: 'storage_class',
  SERVER_SIDE_ENCRYPTION: 'sse',
  ENV_AUTH: 'use_iam',
} as const;

/** Options of rclone's s3 backend that depend on the server. */
const RCLONE_DERIVED: readonly string[] = ['ENDPOINT', 'PROVIDER', 'FORCE_PATH_STYLE'];

/** Variables that make the AWS tools and restic use a role, in place of the set's keys or on top of them. */
const IDENTITY: readonly string[] = [
  'RESTIC_AWS_ASSUME_ROLE_ARN',
  'AWS_ROLE_ARN',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
];

/**
 * Variables that restic, rclone and the AWS tools read in addition to, or in preference to, those that a set provides.
 * If they were kept, an old session token or a password file would be used together with the set's keys.
 */
export const S3_CONTRADICTING: readonly string[] = [
  ...RESTIC_CONTRADICTING,
  ...IDENTITY,
  'AWS_SESSION_TOKEN',
  'AWS_SECURITY_TOKEN',
  'AWS_PROFILE',
  'AWS_DEFAULT_PROFILE',
  'AWS_REGION',
  'AWS_DEFAULT_REGION',
  'AWS_ENDPOINT_URL',
  'AWS_ENDPOINT_URL_S3',
  'AWS_IGNORE_CONFIGURED_ENDPOINT_URLS',
  'RCLONE_S3_ENDPOINT',
  'RCLONE_S3_REGION',
  'RCLONE_S3_SESSION_TOKEN',
  'RCLONE_S3_ENV_AUTH',
  'RCLONE_S3_STORAGE_CLASS',
  'RCLONE_S3_SERVER_SIDE_ENCRYPTION',
];

/**
 * Returns what all providers that speak S3 have in common.
 *
 * @param rcloneName what rclone calls the provider
 * @param elsewhere additional rclone options for servers other than Amazon's
 */
export function s3Provider(rcloneName: string, elsewhere?: RcloneOptions): Omit<Provider, 'id' | 'label'> {
  return {
    fields: S3_FIELDS,
    rclone: { fixed: { TYPE: 's3', PROVIDER: rcloneName }, fromFields: RCLONE_OPTIONS, derived: RCLONE_DERIVED },
    derive: (values) => deriveS3(values, elsewhere),
    contradicting: S3_CONTRADICTING,
    identity: IDENTITY,
  };
}

/**
 * Returns the settings that name the server, for tools that do not read the repository.
 *
 * @param elsewhere additional rclone options for servers other than Amazon's
 */
export function deriveS3(values: ReadonlyMap<string, string>, elsewhere: RcloneOptions = {}): Derived {
  const repository = parseS3Repository(values.get('backup_repo') ?? '');
  const named = parseServer(values.get('endpoint')?.split(',', 1)[0] ?? '');
  const server = 'endpoint' in named ? named : repository;
  const pathStyle = values.get('path_style');
  const style = pathStyle === undefined ? {} : { FORCE_PATH_STYLE: pathStyle };
  if (!('endpoint' in server) || isAmazon(server)) return { rclone: style, variables: {} };
  return {
    // Like restic, which puts the bucket into the path for every server other than Amazon's.
    rclone: { ENDPOINT: server.endpoint, ...elsewhere, FORCE_PATH_STYLE: 'true', ...style },
    variables: { AWS_ENDPOINT_URL_S3: server.endpoint },
  };
}
