import { isTooLong } from './field-check.ts';
import { bareHost, HOST_LENGTH_MAX, isPublicHost } from './hosts.ts';
import { SUBJECT_LENGTH_MAX } from './limits.ts';
import { parseAzureRepository } from './providers/azure.ts';
import { parseGoogleRepository } from './providers/google.ts';
import type { Field, Provider } from './providers/provider.ts';
import { BACKUP_REPO } from './providers/s3-fields.ts';
import type { S3Repository } from './providers/s3-repository.ts';
import { isAmazon, parseS3Repository } from './providers/s3-repository.ts';
import { parseServer, type Server } from './providers/server.ts';
import { missingOf } from './sets.ts';
import type { CheckState, Finding, Reason } from './validation.ts';
import { fieldLabelInSentence } from './validation.ts';
import { BYTE_ORDER_MARK, trim } from './white-space.ts';

/** The values of a set by field id. */
export type SetValues = ReadonlyMap<string, string>;

/** The set that an alternate set stands in for. */
export interface PrimarySet {
  readonly set: string;
  readonly values: SetValues;
}

/**
 * An access key of AWS: `AKIA`, or `ASIA` for a temporary one (AWS documentation, "IAM identifiers", unique ID
 * prefixes), followed by 16 base32 digits. gitleaks and trufflehog use the same pattern. Keys of other servers can have
 * any form.
 */
const AWS_ACCESS_KEY = /^(?:AKIA|ASIA)[A-Z2-7]{16}$/;

/**
 * A secret key of AWS: 40 characters of base64 (awslabs' git-secrets uses the same pattern). All but two in 10^9 have
 * both upper and lower case, which a hexadecimal digest of the same length, a key on other servers, never has.
 */
const AWS_SECRET_KEY = /^(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9/+]{40}$/;

/**
 * The form of access keys that MinIO and most other servers generate: capital letters and digits. The secret keys that
 * go with them look like Amazon's.
 */
const GENERATED_ACCESS_KEY = /^[A-Z0-9]{16,24}$/;

/**
 * Hosts with the bucket in front of `s3.`, as in the documentation of these servers. Endpoints of a VPC are excluded:
 * `bucket.vpce-….s3.REGION.vpce.amazonaws.com` begins with the literal word "bucket".
 */
const VIRTUAL_HOST =
  /^(?!.*\.vpce\.).+\.s3[.-](?:.+\.)?(?:amazonaws\.com(?:\.cn)?|backblazeb2\.com|wasabisys\.com|scw\.cloud|cloud\.ovh\.(?:net|us))$/;

/** Hosts with the bucket in front, of servers whose own host is just a region and a domain. */
const VIRTUAL_HOST_OF_REGION =
  /^.+\.[a-z0-9-]+\.(?:digitaloceanspaces\.com|linodeobjects\.com|your-objectstorage\.com)$/;

/** Splits an S3 repository into its server and its path. */
const S3_PARTS = /^(s3:(?:https?:\/\/|\/\/)?[^/]*)(.*)$/s;

/**
 * Finds what is wrong with a set by its values alone. A finding is `failed` if no backup can work with the value, and
 * `warning` if it may work but is probably a mistake. Findings contain no value of the set, except the host that keys
 * would be sent to unencrypted.
 *
 * @param set the set's name
 * @param provider undefined if the set has no known provider
 * @param primary the set that this one is the alternate of
 */
export function findMistakes(
  set: string,
  provider: Provider | undefined,
  given: SetValues,
  primary?: PrimarySet,
): Finding[] {
  if (provider === undefined) return [finding('failed', 'unknown_provider', 'provider')];
  const absent = missingOf(provider, new Set(given.keys()), given.get('use_iam'));
  const missing = absent.map((id) => finding('failed', 'missing_field', id, id));
  const tooLong = provider.fields.filter((field) => isTooLong(field, given.get(field.id) ?? '')).map(({ id }) => id);
  // Nothing parses these, which would take long.
  const values = new Map([...given].filter(([id]) => !tooLong.includes(id)));
  const isNotItself = primary !== undefined && primary.set !== set;
  return [
    ...missing,
    ...tooLong.map(invalidValue),
    ...provider.fields.flatMap((field) => checkField(field, values.get(field.id))),
    ...(provider.fields.includes(BACKUP_REPO) ? checkServers(values) : []),
    ...checkPath(values),
    ...checkKeys(provider, values),
    ...checkPassword(values),
    ...(isNotItself ? checkAlternate(values, primary) : []),
  ];
}

function checkField(field: Field, value: string | undefined): Finding[] {
  if (value === undefined) return [];
  const trimmed = trim(value);
  const isRefused = field.check?.(value) !== undefined;
  // White space at the ends is normal in values of several lines, such as a certificate.
  const isSpaceMistaken = trimmed !== value && (isRefused || field.input !== 'textarea');
  const space = isSpaceMistaken ? [finding(isRefused ? 'failed' : 'warning', 'surrounding_space', field.id)] : [];
  if (field === BACKUP_REPO && trimmed.startsWith('s3:')) return [...space, ...checkS3Repository(trimmed)];
  return field.check?.(trimmed) === undefined ? space : [...space, invalidValue(field.id)];
}

function checkS3Repository(text: string): Finding[] {
  const server = serverOf(text);
  if (server === undefined) return [invalidValue('backup_repo')];
  const host = bareHost(server.host);
  const plainHttp = !server.isTls && isPublicHost(host) ? [finding('warning', 'plain_http', 'backup_repo', host)] : [];
  if (VIRTUAL_HOST.test(host) || VIRTUAL_HOST_OF_REGION.test(host))
    return [...plainHttp, finding('failed', 'repository_virtual_host', 'backup_repo')];
  if (isWithoutBucket(text)) return [...plainHttp, finding('failed', 'repository_without_bucket', 'backup_repo')];
  if ('reason' in parseS3Repository(text)) return [...plainHttp, invalidValue('backup_repo')];
  // s3://BUCKET/PREFIX, the AWS tools' form; only a warning, since a private network may have a host of that name.
  const isLikeAwsTools = text.startsWith('s3://') && /^[^.:]+$/.test(server.host) && host !== 'localhost';
  return isLikeAwsTools ? [finding('warning', 'repository_bucket_as_host', 'backup_repo')] : plainHttp;
}

/** Tells whether a repository has no bucket. restic also reads a second slash as a bucket with an empty name. */
function isWithoutBucket(text: string): boolean {
  const [, , path = ''] = S3_PARTS.exec(text) ?? [];
  return path === '' || path === '/' || path.startsWith('//');
}

/** Checks for swapped keys. Only a warning on servers other than Amazon's, where keys can have any form. */
function checkKeys(provider: Provider, values: SetValues): Finding[] {
  const accessKey = values.get('access_key') ?? '';
  const secretKey = values.get('secret_key') ?? '';
  const { backup_repo: repository, endpoint } = Object.fromEntries(values);
  const server = repository === undefined ? serverNamed(endpoint) : serverOf(trim(repository));
  const hasNoServer = repository === undefined && endpoint === undefined;
  const isAtAmazon = hasNoServer ? provider.id === 'aws' : server !== undefined && isAmazon(server);
  const state = isAtAmazon ? 'failed' : 'warning';
  if (AWS_ACCESS_KEY.test(secretKey)) {
    if (!AWS_ACCESS_KEY.test(accessKey)) return [finding(state, 'keys_swapped', 'access_key')];
    return isAtAmazon ? [invalidValue('secret_key')] : [];
  }
  if (!AWS_SECRET_KEY.test(accessKey)) return [];
  const reason = GENERATED_ACCESS_KEY.test(secretKey) ? 'keys_swapped' : 'secret_in_access_key';
  return [finding(state, reason, 'access_key')];
}

/**
 * Checks the field `endpoint`, the servers for tools that do not read the repository. restic reads only the repository.
 * In a set without one, the prober uses the endpoint too.
 */
function checkServers(values: SetValues): Finding[] {
  const endpoint = values.get('endpoint');
  if (endpoint === undefined) return [];
  const servers = endpoint.split(',').map((text) => parseServer(trim(text)));
  const repository = parseS3Repository(trim(values.get('backup_repo') ?? ''));
  if ('reason' in repository) {
    if (values.has('backup_repo')) return [];
    const unencrypted = servers.find((server) => !('reason' in server) && !server.isTls && isPublicHost(server.host));
    return unencrypted === undefined || 'reason' in unencrypted
      ? []
      : [finding('warning', 'plain_http', 'endpoint', bareHost(unencrypted.host))];
  }
  const isServed = servers.some((server) => 'reason' in server || hostAndPort(server) === hostAndPort(repository));
  return isServed ? [] : [finding('warning', 'differs_from_repository', 'endpoint', 'endpoint')];
}

function checkPath(values: SetValues): Finding[] {
  const text = trim(values.get('backup_repo') ?? '');
  const parsed = [parseS3Repository(text), parseAzureRepository(text), parseGoogleRepository(text)];
  const repository = parsed.find((one): one is Exclude<typeof one, { readonly reason: string }> => !('reason' in one));
  if (repository === undefined) return [];
  const { bucket = repository.bucket, prefix = repository.prefix } = Object.fromEntries(values);
  return [...(bucket === repository.bucket ? [] : ['bucket']), ...(prefix === repository.prefix ? [] : ['prefix'])].map(
    (field) => finding('warning', 'differs_from_repository', field, field),
  );
}

function checkPassword(values: SetValues): Finding[] {
  const password = values.get('backup_password');
  const key = ['secret_key', 'account_key'].find((id) => values.has(id) && values.get(id) === password);
  const isMarked = password?.startsWith(BYTE_ORDER_MARK) === true;
  return [
    ...(isMarked ? [finding('warning', 'byte_order_mark', 'backup_password')] : []),
    ...(key === undefined
      ? []
      : [finding('warning', 'password_is_secret_key', 'backup_password', fieldLabelInSentence(key))]),
  ];
}

function checkAlternate(values: SetValues, primary: PrimarySet): Finding[] {
  const identity = repositoryIdentity(values);
  const isSame = identity !== undefined && identity === repositoryIdentity(primary.values);
  return isSame ? [finding('warning', 'same_as_primary', 'backup_repo', primary.set)] : [];
}

/** Returns a text that is the same for all spellings of the same repository. */
function repositoryIdentity(values: SetValues): string | undefined {
  const text = values.get('backup_repo');
  const trimmed = trim(text ?? '');
  const s3 = parseS3Repository(trimmed);
  if (!('reason' in s3)) return JSON.stringify(['s3', hostAndPort(s3), s3.bucket, s3.prefix]);
  const azure = parseAzureRepository(trimmed);
  const account = [values.get('account_name'), values.get('endpoint_suffix')];
  if (!('reason' in azure)) return JSON.stringify(['azure', account, azure.bucket, azure.prefix]);
  const google = parseGoogleRepository(trimmed);
  return 'reason' in google ? text : JSON.stringify(['gs', google.bucket, google.prefix]);
}

function hostAndPort({ host, isTls }: Pick<S3Repository, 'host' | 'isTls'>): string {
  const port = /:(\d+)$/.exec(host)?.[1] ?? (isTls ? '443' : '80');
  return `${bareHost(host)}:${Number(port)}`;
}

/** Returns the server of an S3 repository, whatever its path. Undefined if the server is not valid. */
function serverOf(text: string): S3Repository | undefined {
  const [, server = ''] = S3_PARTS.exec(text) ?? [];
  const repository = parseS3Repository(`${server}/bucket`);
  return 'reason' in repository || bareHost(repository.host).length > HOST_LENGTH_MAX ? undefined : repository;
}

/** Returns the first server of the field `endpoint`. */
function serverNamed(endpoint = ''): Server | undefined {
  const server = parseServer(trim(endpoint.split(',', 1)[0] ?? ''));
  return 'reason' in server ? undefined : server;
}

function invalidValue(field: string): Finding {
  return finding('failed', 'invalid_value', field, field);
}

function finding(state: CheckState, reason: Reason, field: string, subject?: string): Finding {
  return {
    check: 'shape',
    state,
    reason,
    field,
    ...(subject === undefined ? {} : { subject: subject.slice(0, SUBJECT_LENGTH_MAX) }),
  };
}
