import { isAmazon, parseS3Repository, type S3Repository } from '../../../src/providers/s3-repository.ts';
import type { ProbeJob } from '../../../src/validation.ts';
import { ProbeFailure } from '../failure.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { invalidValue, requiredValue } from './set-endpoint.ts';

/** One bucket of one S3 server, and the keys for it: what a set says, once it was understood. */
export interface S3Target {
  readonly endpoint: Endpoint;
  /** Scheme, host and port that the SDK is given; with virtual hosts it puts the bucket before the host. */
  readonly url: string;
  readonly bucket: string;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
  readonly isPathStyle: boolean;
  readonly isAmazon: boolean;
  /** The one that requests are signed for. */
  readonly region: string;
  /** Whether the set says so, and not only Amazon's default. */
  readonly isRegionGiven: boolean;
  readonly keys: S3Keys;
  /** What objects are to be stored with, where the set says so. */
  readonly storageClass?: string;
  readonly encryption?: string;
}

export interface S3Keys {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
}

/** Amazon's first region, in which its tools and restic sign where they are told none. */
const DEFAULT_REGION = 'us-east-1';

/** The one host of Amazon's that stands for all regions; its tools replace it by the region's own. */
const AMAZON_GLOBAL_HOST = 's3.amazonaws.com';

const REGION = /^[A-Za-z0-9._-]{1,64}$/;

/** A bucket that can be the first part of a host's name (Amazon's rules for names). */
const HOST_LABEL = /^[a-z0-9][a-z0-9.-]*[a-z0-9]$/;

/** Fields that change how or as whom one connects, and that are not served: to pass over them would prove nothing. */
const NOT_SERVED = ['use_iam', 'proxy'] as const;

/**
 * Reads a set.
 *
 * @param region the one that the server told, where it is another one than the set's
 * @throws ProbeFailure naming the field that is missing or of no use
 */
export function readS3Target({ values }: ProbeJob, region?: string): S3Target {
  for (const field of NOT_SERVED) {
    if (isGiven(values[field])) throw new ProbeFailure('not_supported', { field, subject: field });
  }
  const repository = parseS3Repository(requiredValue(values, 'backup_repo'));
  if ('reason' in repository) throw invalidValue('backup_repo');
  const signedFor = region ?? values['region'] ?? DEFAULT_REGION;
  if (!REGION.test(signedFor)) throw invalidValue('region');
  const isPathStyle = isPathStyleOf(repository, values['path_style']);
  const host = regionalHostOf(repository, signedFor);
  const sessionToken = values['session_token'];
  return {
    endpoint: endpointOf(repository, isPathStyle ? host : `${repository.bucket}.${host}`, values),
    url: `${repository.isTls ? 'https' : 'http'}://${host}`,
    bucket: repository.bucket,
    prefix: repository.prefix === '' ? '' : `${repository.prefix}/`,
    isPathStyle,
    isAmazon: isAmazon(repository),
    region: signedFor,
    isRegionGiven: values['region'] !== undefined,
    keys: {
      accessKey: requiredValue(values, 'access_key'),
      secretKey: requiredValue(values, 'secret_key'),
      ...(sessionToken === undefined ? {} : { sessionToken }),
    },
    ...(values['storage_class'] === undefined ? {} : { storageClass: values['storage_class'] }),
    ...(values['sse'] === undefined ? {} : { encryption: values['sse'] }),
  };
}

function isGiven(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== 'false';
}

/** As restic does it (`s3.bucket-lookup=auto`): virtual hosts at Amazon only, and not where no certificate would fit. */
function isPathStyleOf(repository: S3Repository, wanted: string | undefined): boolean {
  if (wanted === 'true') return true;
  const { bucket, isTls } = repository;
  const fits = HOST_LABEL.test(bucket) && !(isTls && bucket.includes('.'));
  return wanted === 'false' ? !fits : !(fits && isAmazon(repository));
}

function regionalHostOf({ host }: S3Repository, region: string): string {
  const [name, port] = host.split(':', 2);
  if (name !== AMAZON_GLOBAL_HOST || region === DEFAULT_REGION) return host;
  return `s3.${region}.amazonaws.com${port === undefined ? '' : `:${port}`}`;
}

function endpointOf({ isTls }: S3Repository, host: string, values: ProbeJob['values']): Endpoint {
  // Reads 0x7f.1 and [::1]:9000 as everybody else does.
  const url = URL.canParse(`http://${host}`) ? new URL(`${isTls ? 'https' : 'http'}://${host}`) : undefined;
  if (url === undefined) throw invalidValue('backup_repo');
  const authorities = values['endpoint_ca'];
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? (isTls ? 443 : 80) : Number(url.port),
    isTls,
    ...(authorities === undefined ? {} : { authorities }),
    isVerified: values['skip_verify'] !== 'true',
    isLinkLocalAllowed: values['allow_link_local'] === 'true',
  };
}
