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

/** Of S3; other providers have forms of their own. */
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

/** Part of host names and of what is signed. Servers other than Amazon's may call theirs as they like. */
export const REGION: Field = {
  ...optionalText('region', 'Region'),
  example: 'eu-central-1',
  variables: ['AWS_DEFAULT_REGION', 'AWS_REGION'],
  check: (text) =>
    /^[A-Za-z0-9._-]{1,64}$/.test(text) ? undefined : 'it has more than letters, digits and . _ -, or than 64 of them',
};

/** Comes with temporary keys (AWS STS). */
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
 * Servers, with commas between, for tools that take no repository; they get the first. restic knows the server of the
 * repository only.
 */
export const ENDPOINT: Field = {
  ...optionalText('endpoint', 'Endpoint'),
  example: 'https://s3.eu-central-1.amazonaws.com',
  check(text) {
    const refusal = text
      .split(',')
      .map(parseServer)
      .find((server) => 'reason' in server);
    return refusal === undefined || !('reason' in refusal) ? undefined : `${refusal.reason}; it looks like HOST:PORT`;
  },
};

/** Whether the bucket stands in the path and not before the host. restic has an option for it, and no variable. */
export const PATH_STYLE: Field = { ...optionalText('path_style', 'Bucket in the path'), check: checkBoolean };

/**
 * The classes of Amazon's whose objects can be read at once; out of GLACIER and DEEP_ARCHIVE no repository can be opened.
 * restic has an option for it, and no variable.
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

/** Encryption by the server, as the header `x-amz-server-side-encryption` has it. */
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

/** Options of rclone's s3 backend that are fields of a set. */
const RCLONE_OPTIONS = {
  ACCESS_KEY_ID: 'access_key',
  SECRET_ACCESS_KEY: 'secret_key',
  SESSION_TOKEN: 'session_token',
  REGION: 'region',
  STORAGE_CLASS: 'storage_class',
  SERVER_SIDE_ENCRYPTION: 'sse',
  ENV_AUTH: 'use_iam',
} as const;

/** Options of rclone's s3 backend that follow from the server. */
const RCLONE_DERIVED: readonly string[] = ['ENDPOINT', 'PROVIDER', 'FORCE_PATH_STYLE'];

/** By these the AWS tools and restic are told of a role, which would take the place of the set's keys or come on top. */
const IDENTITY: readonly string[] = [
  'RESTIC_AWS_ASSUME_ROLE_ARN',
  'AWS_ROLE_ARN',
  'AWS_WEB_IDENTITY_TOKEN_FILE',
  'AWS_CONTAINER_CREDENTIALS_FULL_URI',
  'AWS_CONTAINER_CREDENTIALS_RELATIVE_URI',
];

/**
 * Where restic, rclone and the AWS tools look before, or besides, the variables that a set provides. Left in place, an
 * old session token or a password file would be used together with the set's own keys.
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
 * What all providers that speak S3 have in common.
 *
 * @param rcloneName what rclone calls the provider
 * @param elsewhere what else rclone is told where the server is not Amazon's
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
 * The server, for tools that do not read it in the repository.
 *
 * @param elsewhere what else rclone is told where the server is not Amazon's
 */
export function deriveS3(values: ReadonlyMap<string, string>, elsewhere: RcloneOptions = {}): Derived {
  const repository = parseS3Repository(values.get('backup_repo') ?? '');
  const named = parseServer(values.get('endpoint')?.split(',', 1)[0] ?? '');
  const server = 'endpoint' in named ? named : repository;
  const pathStyle = values.get('path_style');
  const style = pathStyle === undefined ? {} : { FORCE_PATH_STYLE: pathStyle };
  if (!('endpoint' in server) || isAmazon(server)) return { rclone: style, variables: {} };
  return {
    // restic, too, puts the bucket into the path wherever the server is not Amazon's.
    rclone: { ENDPOINT: server.endpoint, ...elsewhere, FORCE_PATH_STYLE: 'true', ...style },
    variables: { AWS_ENDPOINT_URL_S3: server.endpoint },
  };
}
