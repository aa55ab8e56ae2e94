import { isIP } from 'node:net';

import { bareHost } from '../../../src/hosts.ts';
import { BUCKET, PREFIX } from '../../../src/providers/common-fields.ts';
import { isAmazon, parseS3Repository, type S3Repository } from '../../../src/providers/s3-repository.ts';
import { parseServer, type Server } from '../../../src/providers/server.ts';
import type { ProbeJob } from '../../../src/validation.ts';
import type { Endpoint } from '../network/endpoint.ts';
import { DEFAULT_REGION } from './default-region.ts';
import { endpointOf, invalidValue, isGiven, missingValue, requiredValue, usesIdentity } from './set-endpoint.ts';

/** One S3 server, mostly with a bucket, and the keys for it: what a set says, once it was understood. */
export interface S3Target {
  readonly endpoint: Endpoint;
  /** Scheme, host and port that the SDK is given; with virtual hosts it puts the bucket before the host. */
  readonly url: string;
  /** Undefined where the set names none: then there is nothing to try but the keys. */
  readonly bucket: string | undefined;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
  readonly isPathStyle: boolean;
  readonly isAmazon: boolean;
  /** The one that requests are signed for. */
  readonly region: string;
  /** Whether the set says so, and not only Amazon's default. */
  readonly isRegionGiven: boolean;
  /** Undefined where the machine's own identity takes their place. */
  readonly keys: S3Keys | undefined;
  /** What objects are to be stored with, where the set says so. */
  readonly storageClass?: string;
  readonly encryption?: string;
}

/** A target whose keys are there. */
export type KeyedS3Target = S3Target & { readonly keys: S3Keys };

export interface S3Keys {
  readonly accessKey: string;
  readonly secretKey: string;
  readonly sessionToken?: string;
}

/** Where the objects lie, and the field that says at which server. */
interface Place extends Server {
  readonly bucket: string | undefined;
  readonly prefix: string;
  readonly field: string | undefined;
}

/** The one host of Amazon's that stands for all regions; its tools replace it by the region's own. */
const AMAZON_GLOBAL_HOST = 's3.amazonaws.com';

const REGION = /^[A-Za-z0-9._-]{1,64}$/;

/** A bucket that can be the first part of a host's name (Amazon's rules for names). */
const HOST_LABEL = /^[a-z0-9][a-z0-9.-]*[a-z0-9]$/;

/**
 * Reads a set.
 *
 * @param region the one that the server told, where it is another one than the set's
 * @throws ProbeFailure naming the field that is missing or of no use
 */
export function readS3Target({ provider, values }: ProbeJob, region?: string): S3Target {
  const place = placeOf(provider, values);
  const signedFor = region ?? values['region'] ?? DEFAULT_REGION;
  if (!REGION.test(signedFor)) throw invalidValue('region');
  const { bucket, isTls } = place;
  const isPathStyle = bucket === undefined || isPathStyleOf({ ...place, bucket }, values['path_style']);
  const host = regionalHostOf(place, signedFor);
  const scheme = isTls ? 'https' : 'http';
  const field = host !== place.host && region === undefined ? 'region' : place.field;
  return {
    endpoint: endpointOf(`${scheme}://${isPathStyle ? host : `${bucket}.${host}`}`, values, field),
    url: `${scheme}://${host}`,
    bucket,
    prefix: place.prefix === '' ? '' : `${place.prefix}/`,
    isPathStyle,
    isAmazon: isAmazon(place),
    region: signedFor,
    isRegionGiven: values['region'] !== undefined,
    keys: usesIdentity(values) ? undefined : keysOf(values),
    ...(values['storage_class'] === undefined ? {} : { storageClass: values['storage_class'] }),
    ...(values['sse'] === undefined ? {} : { encryption: values['sse'] }),
  };
}

/** By the repository, by which restic goes; a set without one has its parts in fields of their own. */
function placeOf(provider: string, values: ProbeJob['values']): Place {
  const { backup_repo: text, endpoint, bucket, prefix } = values;
  if (isGiven(text)) {
    const repository = parseS3Repository(text);
    if ('reason' in repository) throw invalidValue('backup_repo');
    return { ...repository, field: 'backup_repo' };
  }
  if (isGiven(bucket) && BUCKET.check?.(bucket) !== undefined) throw invalidValue('bucket');
  if (isGiven(prefix) && PREFIX.check?.(prefix) !== undefined) throw invalidValue('prefix');
  const path = { bucket: isGiven(bucket) ? bucket : undefined, prefix: prefix ?? '' };
  // Amazon's own tools need no endpoint either.
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

/** As restic does it (`s3.bucket-lookup=auto`): virtual hosts at Amazon only, and not where no certificate would fit. */
function isPathStyleOf(place: Pick<S3Repository, 'host' | 'isTls' | 'bucket'>, wanted: string | undefined): boolean {
  if (wanted === 'true') return true;
  const { host, bucket, isTls } = place;
  const fits = HOST_LABEL.test(bucket) && !(isTls && bucket.includes('.')) && isNamed(host);
  return wanted === 'false' ? !fits : !(fits && isAmazon(place));
}

/** An address has no name that a bucket could stand before; Amazon's SDKs, too, put it into the path there. */
function isNamed(host: string): boolean {
  const url = `http://${host}`;
  return isIP(bareHost(URL.canParse(url) ? new URL(url).hostname : host)) === 0;
}

function regionalHostOf({ host }: Server, region: string): string {
  const [name, port] = host.split(':', 2);
  if (name !== AMAZON_GLOBAL_HOST || region === DEFAULT_REGION) return host;
  return `s3.${region}.amazonaws.com${port === undefined ? '' : `:${port}`}`;
}
