import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Scope } from '../../support/scope.ts';
import { refusal, startHttp, type StubServer } from './stub-server.ts';

/** The providers of S3, of which each is probed with another library. */
export const PROVIDERS = ['s3', 'minio'] as const;

/** What S3 answers to a list of an empty bucket. */
export const LIST =
  '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult><Name>bucket-1</Name></ListBucketResult>';

/** What S3 answers about the location of a bucket in its default region. */
export const LOCATION = '<?xml version="1.0" encoding="UTF-8"?>\n<LocationConstraint></LocationConstraint>';

/** Returns the values of a set whose repository is on a server without TLS; `rest` is its path in the bucket. */
export const plain = (server: StubServer, rest = ''): Record<string, string> => ({
  backup_repo: `s3:http://${server.authority}/bucket-1${rest}`,
});

/** May answer a request in place of the bucket, and returns true if it does. */
export type Fault = (request: IncomingMessage, response: ServerResponse, objects: Map<string, Buffer>) => boolean;

/** A bucket without a repository. */
export interface Bucket extends StubServer {
  readonly objects: ReadonlyMap<string, Buffer>;
}

/** Starts a bucket without a repository. Objects are stored whatever the answer to the request is. */
export async function startBucket(scope: Scope, fault: Fault): Promise<Bucket> {
  const objects = new Map<string, Buffer>();
  const server = await startHttp(scope, (request, response, body) => {
    const { method, url = '' } = request;
    const name = url.split('?', 1)[0] ?? '';
    if (method === 'PUT') objects.set(name, body);
    if (fault(request, response, objects)) return;
    const object = objects.get(name);
    if (url.includes('location')) response.end(LOCATION);
    else if (url.includes('list-type')) response.end(LIST);
    else if (method === 'PUT') response.writeHead(200, { etag: '"x"' }).end();
    else if (method === 'DELETE' && objects.delete(name)) response.writeHead(204).end();
    else if (object !== undefined) response.end(object);
    else refusal('NoSuchKey', 404)(request, response);
  });
  return Object.assign(server, { objects });
}

/** Resets the connection in place of an answer. */
export const reset = ({ socket }: ServerResponse): void => void socket?.resetAndDestroy();
/** Answers with a status that denies the request. */
export const refuse = (response: ServerResponse): void => void response.writeHead(403).end();
