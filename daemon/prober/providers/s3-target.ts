import { isIP } from 'node:net';

import { bareHost } from '../../../src/hosts.ts';
import { BUCKET, PREFIX } from '../../../src/providers/common-fields.ts';
import { isAmazon, parseS3Repository, type S3Repository } from '../../../src/providers/s3-repository.ts';
import { parseServer, type Server } from '../../../src/providers/server.ts';
import type { ProbeJob } from '../../../src/validation.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { DEFAULT_REGION } from './default-region.ts';
import { endpointOf, invalidValue, isGiven, missingValue, requiredValue, usesIdentity } from './set-endpoint.ts';

/** The parsed values of a set: an S3 server, usually with a bucket, and the keys for it. */
export interface S3Target {
  readonly endpoint: Endpoint;
  /** Scheme, host and port for the SDK, which with virtual hosts puts the bucket before the host by itself. */
  readonly url: string;
  /** Undefined if the set names none: then only the keys can be tried. */
  readonly bucket: string | undefined;
  /** Empty, or ends with a slash. */
  readonly prefix: string;
  readonly isPathStyle: boolean;
  readonly isAmazon: boolean;
  /** The region for which requests are signed. */
  readonly region: string;
  /** Whether the set names the region; otherwise it is Amazon's default, or the one that the server named. */
  readonly isRegionGiven: boolean;
  /** Undefined if the machine's identity is used instead. */
  readonly keys: S3Keys | undefined;
  /** Storage class and encryption for new objects, if the set names them. */
  readonly storageClass?: string;
  readonly encryption?: string;
}

/** A target with keys, of the set or of the machine's identity. */
export type KeyedS3Target = S3Target & { readonly keys: S3Keys };

export interface S3Keys {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
}

/** Where the objects are, and the field that names the server. */
interface S3Location extends Server {
  readonly bucket: string | undefined;
  readonly prefix: string;
  readonly field: string | undefined;
}

/** Amazon's host for all regions, which its tools replace with the region's own. */
const AMAZON_GLOBAL_HOST = 's3.amazonaws.com';

const REGION = /^[A-Za-z0-9._-]{1,64}$/;

/** A bucket name that can be the first part of a host name (Amazon's rules for names). */
const HOST_LABEL = /^[a-z0-9][a-z0-9.-]*[a-z0-9]$/;

/**
 * Parses a set.
 *
 * @param region the region that the server named, if it differs from the one that was tried first
 * @throws ProbeFailure naming the field that is missing or not valid
 */
export function readS3Target({ provider, values }: ProbeJob, region?: string): S3Target {
  const location = locationOf(provider, values);
  const signedFor = region ?? values['region'] ?? DEFAULT_REGION;
  if (!REGION.test(signedFor)) throw invalidValue('region');
  const { bucket, isTls } = location;
  const isPathStyle = bucket === undefined || isPathStyleOf({ ...location, bucket }, values['path_style']);
  const host = regionalHostOf(location, signedFor);
  const scheme = isTls ? 'https' : 'http';
  const field = host !== location.host && region === undefined ? 'region' : location.field;
  return {
    endpoint: endpointOf(`${scheme}://${isPathStyle ? host : `${bucket}.${host}`}`, values, field),
    url: `${scheme}://${host}`,
    bucket,
    prefix: location.prefix === '' ? '' : `${location.prefix}/`,
    isPathStyle,
    isAmazon: isAmazon(location),
    region: signedFor,
    isRegionGiven: values['region'] !== undefined,
    keys: usesIdentity(values) ? undefined : keysOf(values),
    ...(values['storage_class'] === undefined ? {} : { storageClass: values['storage_class'] }),
    ...(values['sse'] === undefined ? {} : { encryption: values['sse'] }),
  };
}

/** Reads the location from the repository, which restic uses, or from fields of their own if the set has no repository. */
function locationOf(provider: string, values: ProbeJob['values']): S3Location {
  const { backup_repo: text, endpoint, bucket, prefix } = values;
  if (isGiven(text)) {
    const repository = parseS3Repository(text);
    if ('reason' in repository) throw invalidValue('backup_repo');
    return { ...repository, field: 'backup_repo' };
  }
  if (isGiven(bucket) && BUCKET.check?.(bucket) !== undefined) throw invalidValue('bucket');
  if (isGiven(prefix) && PREFIX.check?.(prefix) !== undefined) throw invalidValue('prefix');
  const path = { bucket: isGiven(bucket) ? bucket : undefined, prefix: prefix ?? '' };
  // As for Amazon's own tools, an endpoint at Amazon need not be given.
  if (!isGiven(endpoint) && provider !== 'aws') throw missingValue('endpoint');
  const server = parseServer(isGiven(endpoint) ? (endpoint.split(',', 1)[0] ?? '').trim() : AMAZON_GLOBAL_HOST);
  if ('reason' in server) throw invalidValue('endpoint');
  const { host, isTls } = server;
  return { endpoint: server.endpoint, host, isTls, ...path, field: isGiven(endpoint) ? 'endpoint' : undefined };
}

function keysOf(values: ProbeJob['values']): S3Keys {
  const sessionToken = values['session_token'];
  return {
    accessKey: requiredValue(values, 'access_key'),
    secretKey: requiredValue(values, 'secret_key'),
    ...(sessionToken === undefined ? {} : { sessionToken }),
  };
}

/** As restic does (`s3.bucket-lookup=auto`): virtual hosts at Amazon only, and only if a certificate would match. */
function isPathStyleOf(location: Pick<S3Repository, 'host' | 'isTls' | 'bucket'>, wanted: string | undefined): boolean {
  if (wanted === 'true') return true;
  const { host, bucket, isTls } = location;
  const fits = HOST_LABEL.test(bucket) && !(isTls && bucket.includes('.')) && isNamed(host);
  return wanted === 'false' ? !fits : !(fits && isAmazon(location));
}

/** Tells whether a host is a name. A bucket cannot precede an IP address; Amazon's SDKs use the path there too. */
function isNamed(host: string): boolean {
  const url = `http://${host}`;
  return isIP(bareHost(URL.canParse(url) ? new URL(url).hostname : host)) === 0;
}

function regionalHostOf({ host }: Server, region: string): string {
  const [name, port] = host.split(':', 2);
  if (name !== AMAZON_GLOBAL_HOST || region === DEFAULT_REGION) return host;
  return `s3.${region}.amazonaws.com${port === undefined ? '' : `:${port}`}`;
}
