import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { RequestOptions } from 'node:http';
import { Readable } from 'node:stream';

import { Client, type ClientOptions } from 'minio';

import type { Answer, WireRequest } from '../network/wire.ts';
import type { MakeCalls, Send } from './s3-store.ts';
import type { S3Keys, S3Target } from './s3-target.ts';

type Transport = NonNullable<ClientOptions['transport']>;

/** The calls of S3 with MinIO's own library. */
export const makeMinioCalls: MakeCalls = (target, keys, send) => {
  const { bucket = '', region } = target;
  const client = new Client({ ...optionsOf(target, keys, send), region });
  return {
    list: async (prefix, max, after = '') => {
      const page = await client.listObjectsV2Query(bucket, prefix, after, '', max, '');
      const names = page.objects.flatMap(({ name }) => (name === undefined ? [] : [name]));
      // The library converts a token that looks like a number to a number.
      const token: unknown = page.nextContinuationToken;
      return { names, next: page.isTruncated && token !== '' ? String(token) : undefined };
    },
    // Only a client that was given no region sends the request.
    locate: () => new Client(optionsOf(target, keys, send)).getBucketRegionAsync(bucket),
    put: (name, bytes) => client.putObject(bucket, name, bytes, bytes.length, metadataOf(target)),
    get: (name) => client.getObject(bucket, name),
    delete: (name, versionId) => client.removeObject(bucket, name, versionId === undefined ? {} : { versionId }),
    listBuckets: () => client.listBuckets(),
    makeBucket: () => client.makeBucket(bucket, region),
    removeBucket: () => client.removeBucket(bucket),
  };
};

function optionsOf(target: S3Target, keys: S3Keys, send: Send): ClientOptions {
  const { endpoint, isPathStyle } = target;
  const { hostname, port } = new URL(target.url);
  const { accessKey, secretKey, sessionToken } = keys;
  return {
    endPoint: hostname.replace(/^\[(.*)\]$/, '$1'),
    ...(port === '' ? {} : { port: Number(port) }),
    useSSL: endpoint.isTls,
    pathStyle: isPathStyle,
    accessKey,
    secretKey,
    ...(sessionToken === undefined ? {} : { sessionToken }),
    // One attempt, so that the first answer is the one that is reported.
    retryOptions: { disableRetry: true },
    transport: { request: requestOver(send, endpoint.host) } as unknown as Transport,
  };
}

function metadataOf({ storageClass, encryption }: S3Target): Record<string, string> {
  return {
    ...(storageClass === undefined ? {} : { 'x-amz-storage-class': storageClass }),
    ...(encryption === undefined ? {} : { 'x-amz-server-side-encryption': encryption }),
  };
}

/** Replaces the parts of `http.request` that the library uses, so that its requests go over the prober's own wire. */
function requestOver(send: Send, host: string) {
  return (options: RequestOptions, onResponse: (response: Readable) => void): EventEmitter => {
    const request = new EventEmitter();
    const end = (body?: Buffer | string | null): void => {
      const bytes = body === undefined || body === null || body.length === 0 ? undefined : Buffer.from(body as Buffer);
      // A request may only go to the host that was looked up and checked.
      const isOther = options.host?.toLowerCase() !== host.toLowerCase();
      const sent = isOther
        ? Promise.reject(new TypeError('the library wants another host'))
        : send(toWireRequest(options, bytes));
      sent.then(
        (answer) => onResponse(responseOf(answer)),
        (error: unknown) => request.emit('error', error),
      );
    };
    return Object.assign(request, { end });
  };
}

function toWireRequest({ method = 'GET', path, headers }: RequestOptions, body: Buffer | undefined): WireRequest {
  return {
    method,
    path: path ?? '/',
    headers: {
      ...(headers as Record<string, string>),
      // Buckets with object lock accept no write without this header, which the library adds over TLS only.
      ...(body === undefined ? {} : { 'content-md5': createHash('md5').update(body).digest('base64') }),
    },
    body,
  };
}

function responseOf({ status, headers, body }: Answer): Readable {
  return Object.assign(Readable.from(body.length === 0 ? [] : [body]), { statusCode: status, headers });
}
