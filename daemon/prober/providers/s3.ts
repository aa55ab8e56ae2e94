import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';

import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketLocationCommand,
  GetObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type BucketLocationConstraint,
  type S3ClientConfig,
  type ServerSideEncryption,
  type StorageClass,
} from '@aws-sdk/client-s3';

import { DEFAULT_REGION } from './default-region.ts';
import type { MakeCalls, Send } from './s3-store.ts';
import type { S3Keys, S3Target } from './s3-target.ts';

type Handler = Extract<S3ClientConfig['requestHandler'], { handle: unknown }>;
type SdkRequest = Parameters<Handler['handle']>[0];

/** The calls of S3 with Amazon's own SDK, for Amazon and compatible servers. */
export const makeAwsCalls: MakeCalls = (target, keys, send) => {
  const client = new S3Client(configurationOf(target, keys, send));
  const { bucket: Bucket, region, storageClass, encryption } = target;
  return {
    list: async (Prefix, MaxKeys, ContinuationToken) => {
      const command = new ListObjectsV2Command({ Bucket, Prefix, MaxKeys, ContinuationToken });
      const { Contents = [], IsTruncated, NextContinuationToken: token } = await client.send(command);
      const names = Contents.flatMap(({ Key }) => (Key === undefined ? [] : [Key]));
      return { names, next: IsTruncated === true && token !== '' ? token : undefined };
    },
    locate: () => client.send(new GetBucketLocationCommand({ Bucket })),
    put: (Key, Body) =>
      client.send(
        new PutObjectCommand({
          Bucket,
          Key,
          Body,
          // Buckets with object lock accept no write without this header, which every server checks.
          ContentMD5: createHash('md5').update(Body).digest('base64'),
          ...(storageClass === undefined ? {} : { StorageClass: storageClass as StorageClass }),
          ...(encryption === undefined ? {} : { ServerSideEncryption: encryption as ServerSideEncryption }),
        }),
      ),
    get: (Key) => client.send(new GetObjectCommand({ Bucket, Key })),
    delete: (Key, VersionId) =>
      client.send(new DeleteObjectCommand({ Bucket, Key, ...(VersionId === undefined ? {} : { VersionId }) })),
    listBuckets: () => client.send(new ListBucketsCommand({})),
    makeBucket: () =>
      client.send(
        new CreateBucketCommand({
          Bucket,
          // Amazon and compatible servers refuse the default region as a constraint.
          ...(region === DEFAULT_REGION
            ? {}
            : { CreateBucketConfiguration: { LocationConstraint: region as BucketLocationConstraint } }),
        }),
      ),
    removeBucket: () => client.send(new DeleteBucketCommand({ Bucket })),
  };
};

/** Sets every option that the SDK would otherwise look up in the environment or in files of this host. */
function configurationOf(target: S3Target, keys: S3Keys, send: Send): S3ClientConfig {
  const { accessKey, secretKey, sessionToken } = keys;
  return {
    region: target.region,
    endpoint: target.url,
    forcePathStyle: target.isPathStyle,
    credentials: {
      accessKeyId: accessKey,
      secretAccessKey: secretKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
    },
    // One attempt, so that the first answer is the one that is reported.
    maxAttempts: 1,
    retryMode: 'standard',
    followRegionRedirects: false,
    // Servers other than Amazon's do not know the checksums that the SDK uses by default.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    authSchemePreference: ['sigv4'],
    defaultsMode: 'standard',
    disableS3ExpressSessionAuth: true,
    sigv4aSigningRegionSet: [],
    useArnRegion: false,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    userAgentAppId: '',
    requestHandler: handlerOf(target, send),
  };
}

/** Sends the requests of the SDK over the prober's own wire. */
function handlerOf({ endpoint }: S3Target, send: Send): Handler {
  return {
    async handle(request: SdkRequest) {
      // A request may only go to the host that was looked up and checked.
      if (request.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase() !== endpoint.host.toLowerCase()) {
        throw new TypeError('the SDK wants another host');
      }
      // The body is sent at once, so the server must not be asked for a `100 Continue` first.
      const { expect: _expect, ...headers } = request.headers;
      const body = request.body as Uint8Array | undefined;
      const {
        status,
        headers: answered,
        body: bytes,
      } = await send({
        method: request.method,
        path: request.path + queryOf(request.query),
        headers,
        body,
      });
      return { response: { statusCode: status, headers: answered, body: Readable.from([bytes]) } } as never;
    },
  } as Handler;
}

/** Encodes the query as it was signed (RFC 3986). */
function queryOf(query: SdkRequest['query'] = {}): string {
  const pairs = Object.entries(query).flatMap(([name, value]) => {
    if (value === null || value === undefined) return [encode(name)];
    const parts = typeof value === 'string' ? [value] : (value as readonly string[]);
    return parts.map((part) => `${encode(name)}=${encode(part)}`);
  });
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
