import { closest } from '../closest.ts';
import { PROVIDERS } from '../providers/registry.ts';
import { foldKey } from './entry.ts';

/** What a key of a file stands for. `provider` is set if the key is specific to one. */
export type Meaning =
  | { readonly kind: 'field'; readonly id: string; readonly provider?: string }
  /** A boolean with the opposite meaning of the field. */
  | { readonly kind: 'opposite'; readonly id: string }
  /** Whether the endpoint is used without TLS. */
  | { readonly kind: 'disable_ssl' }
  /** Names the set. */
  | { readonly kind: 'name' }
  | { readonly kind: 'provider' };

/**
 * Names of fields in other programs, besides the field ids and the variables of the providers: in pharmer's
 * credentials, Rancher's cloud credentials, Portworx's flags (`--s3-access-key`) and driver parameters
 * (`CredAccessKey`), openstorage's fields, the AWS tools' files, Keystone's EC2 credentials, Velero's files, MinIO.
 */
const OTHER_NAMES: Readonly<Record<string, readonly string[]>> = {
  backup_repo: ['repository', 'resticRepo', 'resticRepository'],
  backup_password: ['resticPassword', 'encryptionPassphrase', 'encryptionKey', 'CredEncrypt'],
  access_key: [
    'accessKeyID',
    'awsAccessKey',
    's3AccessKey',
    'CredAccessKey',
    'ec2AccessKey',
    'access',
    'minioAccessKey',
    'minioRootUser',
  ],
  secret_key: [
    'secretAccessKey',
    'awsSecretKey',
    's3SecretKey',
    'CredSecretKey',
    'ec2SecretKey',
    'secret',
    'minioSecretKey',
    'minioRootPassword',
  ],
  session_token: ['awsSecurityToken'],
  region: ['defaultRegion', 's3Region', 'CredRegion'],
  endpoint: ['endpointUrl', 'defaultEndpoint', 's3Endpoint', 'CredEndpoint', 'awsEndpointUrl', 'awsEndpointUrlS3'],
  endpoint_ca: ['defaultEndpointCA'],
  skip_verify: ['defaultSkipSSLVerify'],
  bucket: ['defaultBucket', 'CredBucket'],
  prefix: ['folder', 'defaultFolder'],
  path_style: ['forcePathStyle', 's3ForcePathStyle'],
  storage_class: ['s3StorageClass', 'CredStorageClass'],
  sse: ['s3SSE', 'CredSSE', 'serverSideEncryption'],
  use_iam: ['envAuth', 'iamPolicy', 'CredIAMPolicy'],
  account_name: ['account', 'azureAccountName', 'CredAccountName', 'azureStorageAccountName'],
  account_key: ['key', 'azureAccountKey', 'CredAccountKey', 'azureStorageAccountKey', 'azureStorageAccountAccessKey'],
  project_id: ['project', 'gceProjectID', 'CredProjectID'],
  service_account: ['serviceAccountCredentials', 'gceServiceAccount', 'jsonKey', 'CredJsonKey', 'authEncodedJson'],
};

const OPPOSITES: Readonly<Record<string, readonly string[]>> = {
  path_style: ['disablePathStyle', 's3DisablePathStyle', 'CredDisablePathStyle'],
};

/** Fields whose value is `true` or `false`, which files spell in more ways. */
export const BOOLEAN_FIELDS: ReadonlySet<string> = new Set([
  'path_style',
  'skip_verify',
  'use_iam',
  'allow_link_local',
]);

/** The beginnings of folded keys that are specific to one provider. */
const PROVIDER_KEY_PREFIXES: readonly (readonly [start: string, provider: string])[] = [
  ['aws', 'aws'],
  ['accesskeyid', 'aws'],
  ['secretaccesskey', 'aws'],
  ['minio', 'minio'],
  ['azure', 'azure'],
  ['account', 'azure'],
  ['google', 'google'],
  ['gce', 'google'],
  ['project', 'google'],
  ['serviceaccount', 'google'],
  ['jsonkey', 'google'],
];

/** Names of providers in pharmer, Rancher, Portworx and rclone. */
const PROVIDER_NAMES: ReadonlyMap<string, string> = new Map(
  Object.entries({
    aws: ['amazon', 'amazonec2', 'amazons3'],
    azure: ['azurestorage', 'azureblob'],
    google: ['gce', 'gcs', 'gcp', 'googlecloud', 'googlecloudstorage'],
  }).flatMap(([id, names]) => names.map((name) => [name, id] as const)),
);

const MEANINGS: ReadonlyMap<string, Meaning> = new Map([
  ...[...PROVIDERS.values()].flatMap(({ fields }) =>
    fields.flatMap(({ id, variables }) => [id, ...variables].map((name) => asField(name, id))),
  ),
  ...Object.entries(OTHER_NAMES).flatMap(([id, names]) => names.map((name) => asField(name, id))),
  ...Object.entries(OPPOSITES).flatMap(([id, names]) =>
    names.map((name): [string, Meaning] => [foldKey(name), { kind: 'opposite', id }]),
  ),
  ...['disableSSL', 's3DisableSSL', 'CredDisableSSL'].map((name): [string, Meaning] => [
    foldKey(name),
    { kind: 'disable_ssl' },
  ]),
  ...['name', 'CredName'].map((name): [string, Meaning] => [foldKey(name), { kind: 'name' }]),
  ...['provider', 'CredType'].map((name): [string, Meaning] => [foldKey(name), { kind: 'provider' }]),
]);

function asField(name: string, id: string): [string, Meaning] {
  const folded = foldKey(name);
  const provider = PROVIDER_KEY_PREFIXES.find(([start]) => folded.startsWith(start))?.[1];
  return [folded, { kind: 'field', id, ...(provider !== undefined && { provider }) }];
}

/** Returns what a key stands for; undefined for an unknown key. */
export function meaningOf(key: string): Meaning | undefined {
  // Rancher's secrets in Kubernetes have a prefix with the driver: `amazonec2credentialConfig-accessKey`.
  return MEANINGS.get(foldKey(key.replace(/^[a-z0-9]+credentialConfig-/, '')));
}

/** Returns the id of the provider that a name stands for; undefined if it is not supported. */
export function providerIdOf(name: string): string | undefined {
  const folded = foldKey(name);
  return PROVIDERS.has(folded) ? folded : PROVIDER_NAMES.get(folded);
}

/**
 * Returns the known key that an unknown one is most likely a misspelling of, in its usual spelling.
 *
 * @param ids the fields whose keys are considered
 */
export function closestKey(key: string, ids: readonly string[]): string | undefined {
  const names = [...PROVIDERS.values()].flatMap(({ fields }) =>
    fields.filter(({ id }) => ids.includes(id)).flatMap(({ id, variables }) => [id, ...variables]),
  );
  const others = Object.entries(OTHER_NAMES).flatMap(([id, spellings]) => (ids.includes(id) ? spellings : []));
  const spelled = new Map([...names, ...others].map((name) => [foldKey(name), name]));
  const folded = closest(foldKey(key), [...spelled.keys()]);
  return folded === undefined ? undefined : spelled.get(folded);
}
