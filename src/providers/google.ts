import {
  BACKUP_PASSWORD,
  BUCKET,
  CONNECTION_FIELDS,
  optionalText,
  PREFIX,
  PROVIDER,
  RELOAD_UNITS,
  repositoryField,
  RESTIC_CONTRADICTING,
  USE_IAM,
} from './common-fields.ts';
import { parseColonRepository, type ColonRepository, type ColonRepositoryRefusal } from './colon-repository.ts';
import type { Field, Provider } from './provider.ts';
import { checkServiceAccount } from './service-account.ts';
import { parseServer, type Server } from './server.ts';

/** The public endpoint of Google Cloud Storage. */
export const GOOGLE_ENDPOINT = 'https://storage.googleapis.com';

/** Google's rule for buckets: up to 222 letters, digits, hyphens, underscores and dots, at most 63 between two dots. */
const BUCKET_NAME = /^(?=.{3,222}$)[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)*$/;

/** Tells whether a bucket can have this name. */
export function isGoogleBucket(name: string): boolean {
  return BUCKET_NAME.test(name);
}

/** Parses `gs:BUCKET:/PATH`. */
export function parseGoogleRepository(text: string): ColonRepository | ColonRepositoryRefusal {
  return parseColonRepository(text, 'gs', isGoogleBucket);
}

/** Parses the server of an endpoint. Refuses http, since access tokens must not be sent unencrypted. */
export function parseGoogleEndpoint(text: string): Server | { readonly reason: string } {
  const server = parseServer(text);
  return 'reason' in server || server.isTls ? server : { reason: 'it is not https' };
}

const REPOSITORY: Field = repositoryField('gs:backup-123:/host-1', 'gs:BUCKET:/PATH', parseGoogleRepository);

/** Letters, digits and hyphens. The ids of projects in a company's domain start with that domain and a colon. */
const PROJECT_ID: Field = {
  id: 'project_id',
  label: 'Project ID',
  isSecret: false,
  isRequired: true,
  input: 'text',
  example: 'backups-415611',
  variables: ['GOOGLE_PROJECT_ID', 'GOOGLE_CLOUD_PROJECT'],
  check: (text) =>
    /^(?:[a-z0-9.-]{1,63}:)?[a-z0-9-]{1,63}$/.test(text)
      ? undefined
      : 'it has characters other than lower-case letters, digits and -, or is too long',
};

/**
 * The JSON that Google issues for a service account. restic and Google's tools take the *path* of a file with it:
 * `exec` provides one; a unit finds it in its credentials directory, by `LoadCredential=cio_google_service_account:…`.
 * rclone takes the JSON itself.
 */
const SERVICE_ACCOUNT: Field = {
  id: 'service_account',
  label: 'Service account (JSON)',
  isSecret: true,
  isRequired: true,
  isReplacedByIdentity: true,
  input: 'textarea',
  variables: [],
  fileVariables: ['GOOGLE_APPLICATION_CREDENTIALS'],
  check: checkServiceAccount,
};

/** For Google Cloud Storage at a private address. restic has no such setting. */
const ENDPOINT: Field = {
  ...optionalText('endpoint', 'Endpoint'),
  example: GOOGLE_ENDPOINT,
  check(text) {
    const server = parseGoogleEndpoint(text);
    return 'reason' in server ? `${server.reason}; it should look like ${GOOGLE_ENDPOINT}` : undefined;
  },
};

/** The region in which a new bucket is created. Not used for an existing bucket. */
const REGION: Field = {
  ...optionalText('region', 'Region'),
  example: 'europe-west1',
  check: (text) => (/^[A-Za-z0-9-]{1,64}$/.test(text) ? undefined : 'it is not 1 to 64 letters, digits and -'),
};

/** Variables by which Google's libraries find credentials other than those of the set. */
const IDENTITY: readonly string[] = [
  'GOOGLE_APPLICATION_CREDENTIALS',
  'GOOGLE_ACCESS_TOKEN',
  'CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE',
  'CLOUDSDK_AUTH_ACCESS_TOKEN_FILE',
];

export const GOOGLE: Provider = {
  id: 'google',
  label: 'Google Cloud Storage',
  fields: [
    REPOSITORY,
    PROJECT_ID,
    SERVICE_ACCOUNT,
    BACKUP_PASSWORD,
    PROVIDER,
    ENDPOINT,
    BUCKET,
    PREFIX,
    REGION,
    USE_IAM,
    ...CONNECTION_FIELDS,
    RELOAD_UNITS,
  ],
  rclone: {
    fixed: { TYPE: 'google cloud storage' },
    fromFields: {
      PROJECT_NUMBER: 'project_id',
      SERVICE_ACCOUNT_CREDENTIALS: 'service_account',
      ENV_AUTH: 'use_iam',
    },
    derived: ['ENDPOINT'],
  },
  derive(values) {
    const server = parseGoogleEndpoint(values.get('endpoint') ?? '');
    if ('reason' in server) return { rclone: {}, variables: {} };
    return { rclone: { ENDPOINT: `${server.endpoint}/storage/v1/` }, variables: {} };
  },
  contradicting: [
    ...RESTIC_CONTRADICTING,
    ...IDENTITY,
    'STORAGE_EMULATOR_HOST',
    'RCLONE_GCS_SERVICE_ACCOUNT_FILE',
    'RCLONE_GCS_ENDPOINT',
    'RCLONE_GCS_TOKEN',
    'RCLONE_GCS_ENV_AUTH',
    'RCLONE_GCS_ANONYMOUS',
  ],
  identity: IDENTITY,
};
