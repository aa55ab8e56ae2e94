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
import { parseServer } from './server.ts';

/** The suffix of all hosts of Azure's public cloud. Also restic's default. */
export const AZURE_ENDPOINT_SUFFIX = 'core.windows.net';

/** Azure's rule for containers: 3 to 63 letters, digits and single hyphens between them. */
const CONTAINER_NAME = /^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/;
const ACCOUNT = /^[a-z0-9]{3,24}$/;
const BASE64 = /^(?=.)(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** Tells whether a container can have this name. */
export function isContainer(name: string): boolean {
  return CONTAINER_NAME.test(name);
}

/** Parses `azure:CONTAINER:/PATH`. */
export function parseAzureRepository(text: string): ColonRepository | ColonRepositoryRefusal {
  return parseColonRepository(text, 'azure', isContainer);
}

/** Returns the host of an account, with a port if the suffix has one. It is always reached by TLS, as in restic. */
export function azureHostOf(account: string, suffix: string = AZURE_ENDPOINT_SUFFIX): string {
  return `${account}.blob.${suffix}`;
}

const REPOSITORY: Field = repositoryField('azure:backup:/host-1', 'azure:CONTAINER:/PATH', parseAzureRepository);

const ACCOUNT_NAME: Field = {
  id: 'account_name',
  label: 'Account name',
  isSecret: false,
  isRequired: true,
  input: 'text',
  variables: ['AZURE_ACCOUNT_NAME', 'AZURE_STORAGE_ACCOUNT'],
  check: (text) => (ACCOUNT.test(text) ? undefined : 'it is not 3 to 24 lower-case letters and digits'),
};

/** One of the two keys of an account: 64 bytes in base64. */
const ACCOUNT_KEY: Field = {
  id: 'account_key',
  label: 'Account key',
  isSecret: true,
  isRequired: true,
  isReplacedByIdentity: true,
  input: 'password',
  variables: ['AZURE_ACCOUNT_KEY', 'AZURE_STORAGE_KEY'],
  check: (text) => (BASE64.test(text) ? undefined : 'it is not base64'),
};

/** For clouds other than the public one. Supported by restic since version 0.16. */
const ENDPOINT_SUFFIX: Field = {
  ...optionalText('endpoint_suffix', 'End of the host names'),
  example: 'core.usgovcloudapi.net',
  variables: ['AZURE_ENDPOINT_SUFFIX'],
  check(text) {
    const server = /^[A-Za-z0-9]/.test(text)
      ? parseServer(`account.blob.${text}`)
      : { reason: 'it is not a host name' };
    return 'reason' in server ? `${server.reason}; it should look like ${AZURE_ENDPOINT_SUFFIX}` : undefined;
  },
};

/** Variables that select an identity in Microsoft Entra (`DefaultAzureCredential`, which restic and rclone use). */
const IDENTITY: readonly string[] = [
  'AZURE_TENANT_ID',
  'AZURE_CLIENT_ID',
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PATH',
  'AZURE_FEDERATED_TOKEN_FILE',
];

export const AZURE: Provider = {
  id: 'azure',
  label: 'Azure Blob Storage',
  fields: [
    REPOSITORY,
    ACCOUNT_NAME,
    ACCOUNT_KEY,
    BACKUP_PASSWORD,
    PROVIDER,
    ENDPOINT_SUFFIX,
    BUCKET,
    PREFIX,
    USE_IAM,
    ...CONNECTION_FIELDS,
    RELOAD_UNITS,
  ],
  rclone: {
    fixed: { TYPE: 'azureblob' },
    fromFields: { ACCOUNT: 'account_name', KEY: 'account_key', ENV_AUTH: 'use_iam' },
    derived: ['ENDPOINT'],
  },
  derive(values) {
    const account = values.get('account_name');
    const suffix = values.get('endpoint_suffix');
    if (account === undefined || suffix === undefined) return { rclone: {}, variables: {} };
    // rclone takes a whole URL since version 1.61. Earlier versions put the account in front themselves.
    return { rclone: { ENDPOINT: `https://${azureHostOf(account, suffix)}` }, variables: {} };
  },
  contradicting: [
    ...RESTIC_CONTRADICTING,
    ...IDENTITY,
    'AZURE_ENDPOINT_SUFFIX',
    'AZURE_ACCOUNT_SAS',
    'AZURE_FORCE_CLI_CREDENTIAL',
    'AZURE_STORAGE_CONNECTION_STRING',
    'AZURE_STORAGE_SAS_TOKEN',
    'RCLONE_AZUREBLOB_ENDPOINT',
    'RCLONE_AZUREBLOB_SAS_URL',
    'RCLONE_AZUREBLOB_ENV_AUTH',
  ],
  identity: IDENTITY,
};
