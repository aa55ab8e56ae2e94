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
import { wordOf } from './validation.ts';
import { BYTE_ORDER_MARK, trim } from './white-space.ts';

/** Values of a set, by the ids of their fields. */
export type SetValues = ReadonlyMap<string, string>;

/** The set that an alternate one stands in for. */
export interface PrimarySet {
  readonly set: string;
  readonly values: SetValues;
}

/**
 * An access key of AWS: `AKIA`, or `ASIA` for a temporary one ("IAM identifiers", the unique ID prefixes), and 16 more
 * digits in base32, which is how gitleaks and trufflehog know them too. Other servers have keys of any form.
 */
const AWS_ACCESS_KEY = /^(?:AKIA|ASIA)[A-Z2-7]{16}$/;

/**
 * A secret key of AWS: 40 characters of base64 (git-secrets of awslabs looks for the same). Upper and lower case are
 * both in it but for two in 10^9, and never in a digest in hex, which is of the same length and a key elsewhere.
 */
const AWS_SECRET_KEY = /^(?=.*[a-z])(?=.*[A-Z])[A-Za-z0-9/+]{40}$/;

/** The form of access keys that MinIO makes, and most other servers: capital letters and digits, with secrets like Amazon's. */
const MADE_ACCESS_KEY = /^[A-Z0-9]{16,24}$/;

/**
 * Servers whose documentation puts the bucket in front of `s3.` in the host. The endpoints of a VPC, as in
 * `bucket.vpce-….s3.REGION.vpce.amazonaws.com`, begin with the word bucket by themselves.
 */
const VIRTUAL_HOST =
  /^(?!.*\.vpce\.).+\.s3[.-](?:.+\.)?(?:amazonaws\.com(?:\.cn)?|backblazeb2\.com|wasabisys\.com|scw\.cloud|cloud\.ovh\.(?:net|us))$/;

/** The same of servers whose own host is that of a region, and nothing more. */
const VIRTUAL_HOST_OF_REGION =
  /^.+\.[a-z0-9-]+\.(?:digitaloceanspaces\.com|linodeobjects\.com|your-objectstorage\.com)$/;

/** Server and path of a repository at S3. */
const S3_PARTS = /^(s3:(?:https?:\/\/|\/\/)?[^/]*)(.*)$/s;

/**
 * Finds what is wrong with a set by its values alone. `failed` is what no backup can work with, `warning` what may work
 * and is hardly meant; nothing where there is nothing to say. A finding never has a value in it, but for the host that
 * keys would be sent to in clear.
 *
 * @param set the set's name
 * @param provider undefined where the set has none that is known
 * @param primary the set that this one is the alternate of
 */
export function findMistakes(
  set: string,
  provider: Provider | undefined,
  values: SetValues,
  primary?: PrimarySet,
): Finding[] {
  if (provider === undefined) return [finding('failed', 'unknown_provider', 'provider')];
  const absent = missingOf(provider, new Set(values.keys()), values.get('use_iam'));
  const missing = absent.map((id) => finding('failed', 'missing_field', id, id));
  const isNotItself = primary !== undefined && primary.set !== set;
  return [
    ...missing,
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
  // A certificate and the like may well end in a line end.
  const isSpaceMistaken = trimmed !== value && (isRefused || field.input !== 'textarea');
  const space = isSpaceMistaken ? [finding(isRefused ? 'failed' : 'warning', 'surrounding_space', field.id)] : [];
  if (field === BACKUP_REPO && trimmed.startsWith('s3:')) return [...space, ...checkS3Repository(trimmed)];
  return field.check?.(trimmed) === undefined ? space : [...space, invalidValue(field.id)];
}

function checkS3Repository(text: string): Finding[] {
  const server = serverOf(text);
  if (server === undefined) return [invalidValue('backup_repo')];
  const host = bareHost(server.host);
  const clear = !server.isTls && isPublicHost(host) ? [finding('warning', 'plain_http', 'backup_repo', host)] : [];
  if (VIRTUAL_HOST.test(host) || VIRTUAL_HOST_OF_REGION.test(host))
    return [...clear, finding('failed', 'repository_virtual_host', 'backup_repo')];
  if (isWithoutBucket(text)) return [...clear, finding('failed', 'repository_without_bucket', 'backup_repo')];
  if ('reason' in parseS3Repository(text)) return [...clear, invalidValue('backup_repo')];
  // s3://BUCKET/PREFIX; there may be a host of that name in a private network.
  const isLikeAwsTools = text.startsWith('s3://') && /^[^.:]+$/.test(server.host) && host !== 'localhost';
  return isLikeAwsTools ? [finding('warning', 'repository_bucket_as_host', 'backup_repo')] : clear;
}

/** restic takes a second slash, too, for a bucket without a name. */
function isWithoutBucket(text: string): boolean {
  const [, , path = ''] = S3_PARTS.exec(text) ?? [];
  return path === '' || path === '/' || path.startsWith('//');
}

/** Elsewhere than at Amazon, keys can look like anything, and a swap is a guess; the server decides. */
function checkKeys(provider: Provider, values: SetValues): Finding[] {
  const accessKey = values.get('access_key') ?? '';
  const secretKey = values.get('secret_key') ?? '';
  const { backup_repo: repository, endpoint } = Object.fromEntries(values);
  const server = repository === undefined ? serverNamed(endpoint) : serverOf(trim(repository));
  const isUnsaid = repository === undefined && endpoint === undefined;
  const isAtAmazon = isUnsaid ? provider.id === 'aws' : server !== undefined && isAmazon(server);
  const state = isAtAmazon ? 'failed' : 'warning';
  if (AWS_ACCESS_KEY.test(secretKey)) {
    if (!AWS_ACCESS_KEY.test(accessKey)) return [finding(state, 'keys_swapped', 'access_key')];
    return isAtAmazon ? [invalidValue('secret_key')] : [];
  }
  if (!AWS_SECRET_KEY.test(accessKey)) return [];
  const reason = MADE_ACCESS_KEY.test(secretKey) ? 'keys_swapped' : 'secret_in_access_key';
  return [finding(state, reason, 'access_key')];
}

/** Other tools are told of servers besides the repository, which is all that restic goes by; without one, so is the prober. */
function checkServers(values: SetValues): Finding[] {
  const endpoint = values.get('endpoint');
  if (endpoint === undefined) return [];
  const servers = endpoint.split(',').map((text) => parseServer(trim(text)));
  const repository = parseS3Repository(trim(values.get('backup_repo') ?? ''));
  if ('reason' in repository) {
    if (values.has('backup_repo')) return [];
    const clear = servers.find((server) => !('reason' in server) && !server.isTls && isPublicHost(server.host));
    return clear === undefined || 'reason' in clear
      ? []
      : [finding('warning', 'plain_http', 'endpoint', bareHost(clear.host))];
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
    ...(key === undefined ? [] : [finding('warning', 'password_is_secret_key', 'backup_password', wordOf(key))]),
  ];
}

function checkAlternate(values: SetValues, primary: PrimarySet): Finding[] {
  const place = placeOf(values);
  const isSame = place !== undefined && place === placeOf(primary.values);
  return isSame ? [finding('warning', 'same_as_primary', 'backup_repo', primary.set)] : [];
}

/** The same text for every way to write the same repository. */
function placeOf(values: SetValues): string | undefined {
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

/** Where a repository lies, whatever its path says. Undefined where it names no server that there can be. */
function serverOf(text: string): S3Repository | undefined {
  const [, server = ''] = S3_PARTS.exec(text) ?? [];
  const repository = parseS3Repository(`${server}/bucket`);
  return 'reason' in repository || bareHost(repository.host).length > HOST_LENGTH_MAX ? undefined : repository;
}

/** The first server of a set that is for tools which take no repository. */
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
