import { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';

import {
  ContainerClient,
  newPipeline,
  StorageSharedKeyCredential,
  type StoragePipelineOptions,
} from '@azure/storage-blob';

import { ProbeFailure } from '../failure.ts';
import { ERROR_BYTES_MAX, LIST_BYTES_MAX, RETRY_PAUSE_MS } from '../limits.ts';
import type { Answer, Wire } from '../network/wire.ts';
import { azureCodeOf, azureFailureOf } from './azure-failure.ts';
import type { AzureTarget } from './azure-target.ts';
import type { ObjectStore, Stored } from './object-store.ts';

type HttpClient = NonNullable<StoragePipelineOptions['httpClient']>;
type SdkRequest = Parameters<HttpClient['sendRequest']>[0];
type SdkResponse = Awaited<ReturnType<HttpClient['sendRequest']>>;

/** What is asked, and what an answer to it looks like. */
interface Call {
  /** The right that it needs, as Azure's roles name it. */
  readonly action: string;
  readonly bytesMax: number;
  readonly isAnswer: (answer: Answer) => boolean;
}

const BLOBS = 'containers/blobs';
const LIST: Call = { action: `${BLOBS}/read`, bytesMax: LIST_BYTES_MAX, isAnswer: isList };
const GET: Omit<Call, 'bytesMax'> = { action: `${BLOBS}/read`, isAnswer: isFromAzure };
const PUT: Call = { action: `${BLOBS}/write`, bytesMax: ERROR_BYTES_MAX, isAnswer: isFromAzure };
const DELETE: Call = { action: `${BLOBS}/delete`, bytesMax: ERROR_BYTES_MAX, isAnswer: isFromAzure };

/** A page of a list may be short, even empty, and have a next one. */
const PAGES_MAX = 5;

/** A container, by Azure's own library over one wire. One call at a time. */
export class AzureStore implements ObjectStore {
  readonly prefix: string;
  readonly #target: AzureTarget;
  readonly #wire: Wire;

  constructor(target: AzureTarget, wire: Wire) {
    this.prefix = target.prefix;
    this.#target = target;
    this.#wire = wire;
  }

  async list(prefix: string, max: number, signal: AbortSignal): Promise<readonly string[]> {
    const names: string[] = [];
    let continuationToken: string | undefined;
    for (let page = 0; page < PAGES_MAX && names.length < max; page += 1) {
      const settings = { maxPageSize: max, ...(continuationToken === undefined ? {} : { continuationToken }) };
      const { value } = await this.#call(
        LIST,
        (container) =>
          container
            .listBlobsFlat({ prefix: this.prefix + prefix })
            .byPage(settings)
            .next(),
        signal,
      );
      const listed = value.done === true ? undefined : value.value;
      names.push(...(listed?.segment.blobItems ?? []).map(({ name }) => name.slice(this.prefix.length)));
      continuationToken = listed?.continuationToken;
      if (continuationToken === undefined || continuationToken === '') break;
    }
    return names.slice(0, max);
  }

  async put(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<Stored> {
    const body = Buffer.from(bytes);
    const put = (container: ContainerClient): Promise<unknown> =>
      container.getBlockBlobClient(this.prefix + name).upload(body, body.length);
    const { headers } = (await this.#call(PUT, put, signal)).answer;
    const version = headers['x-ms-version-id'];
    return version === undefined || version.length > ERROR_BYTES_MAX ? {} : { version };
  }

  async get(name: string, bytesMax: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    try {
      const get = (container: ContainerClient): Promise<unknown> =>
        container.getBlobClient(this.prefix + name).download(0, undefined, { maxRetryRequests: 0 });
      return (await this.#call({ ...GET, bytesMax }, get, signal)).answer.body;
    } catch (error) {
      if (error instanceof MissingBlob) return undefined;
      throw error;
    }
  }

  /** Where the account keeps versions, the one that was deleted stays as an old one; a marker there is none. */
  async delete(name: string, version: string | undefined, signal: AbortSignal): Promise<Stored> {
    const remove = (container: ContainerClient): Promise<unknown> => {
      const blob = container.getBlobClient(this.prefix + name);
      return (version === undefined ? blob : blob.withVersion(version)).delete();
    };
    await this.#call(DELETE, remove, signal);
    return {};
  }

  /** Asks; a server that fails is asked once more. */
  async #call<Value>(
    call: Call,
    ask: (container: ContainerClient) => Promise<Value>,
    signal: AbortSignal,
  ): Promise<{ readonly value: Value; readonly answer: Answer }> {
    try {
      return await this.#ask(call, ask, signal);
    } catch (error) {
      if (!(error instanceof ProbeFailure) || error.reason !== 'server_error') throw error;
      await pause(RETRY_PAUSE_MS, undefined, { signal });
      return this.#ask(call, ask, signal);
    }
  }

  /** What the library throws is not looked at: the answer tells, or what kept it from coming. */
  async #ask<Value>(
    call: Call,
    ask: (container: ContainerClient) => Promise<Value>,
    signal: AbortSignal,
  ): Promise<{ readonly value: Value; readonly answer: Answer }> {
    let answer: Answer | undefined;
    let failure: unknown;
    const sendRequest = async (request: SdkRequest): Promise<SdkResponse> => {
      try {
        answer = await this.#wire.exchange(wired(request, this.#target), call.bytesMax, signal);
        return responseOf(request, answer);
      } catch (error) {
        failure = error;
        throw error;
      }
    };
    let outcome: { readonly value: Value } | undefined;
    try {
      outcome = { value: await ask(containerOf(this.#target, { sendRequest })) };
    } catch {
      // See above.
    }
    if (failure !== undefined) throw failure;
    if (answer === undefined) throw new ProbeFailure('invalid_value', { field: 'backup_repo', subject: 'backup_repo' });
    if (answer.status === 404 && azureCodeOf(answer) === 'BlobNotFound') throw new MissingBlob();
    if (answer.status < 200 || answer.status >= 300) throw azureFailureOf(answer, call.action, this.#target);
    if (outcome === undefined || !call.isAnswer(answer)) {
      throw new ProbeFailure('unexpected_answer', { subject: `HTTP ${answer.status}` });
    }
    return { value: outcome.value, answer };
  }
}

/** There is no blob of that name. */
class MissingBlob extends ProbeFailure {
  constructor() {
    super('no_repository');
  }
}

function containerOf({ url, account, key }: AzureTarget, httpClient: HttpClient): ContainerClient {
  const credential = new StorageSharedKeyCredential(account, key);
  // One attempt: what the first answer said is what is told.
  return new ContainerClient(url, newPipeline(credential, { httpClient, retryOptions: { maxTries: 1 } }));
}

/** It may send to no other host than the one that was looked up and checked. */
function wired({ url, method, headers, body }: SdkRequest, target: AzureTarget): Parameters<Wire['exchange']>[0] {
  const { origin, host, pathname, search } = new URL(url);
  if (origin !== new URL(target.url).origin) throw new TypeError('the library wants another host');
  return {
    method,
    path: pathname + search,
    headers: { ...headers.toJson({ preserveCase: true }), host },
    body: body === undefined ? undefined : (body as Uint8Array),
  };
}

function responseOf(request: SdkRequest, { status, headers, body }: Answer): SdkResponse {
  const all = { toJson: () => ({ ...headers }) };
  return {
    request,
    status,
    headers: all as SdkResponse['headers'],
    bodyAsText: body.toString(),
    readableStreamBody: Readable.from([body]),
  };
}

/** No document type: entities could make a small answer large. */
function isList({ body }: Answer): boolean {
  const text = body.toString('latin1').replace(/^\xef\xbb\xbf/, '');
  return /^\s*(?:<\?xml[^>]{0,100}\?>\s*)?<EnumerationResults[\s/>]/.test(text) && !text.includes('<!');
}

/** A captive portal says 200 to everything, but has no number for the request. */
function isFromAzure({ headers }: Answer): boolean {
  return headers['x-ms-request-id'] !== undefined;
}
