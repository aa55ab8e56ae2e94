import { Readable } from 'node:stream';

import {
  BlobServiceClient,
  type ContainerClient,
  newPipeline,
  StorageSharedKeyCredential,
  type StoragePipelineOptions,
} from '@azure/storage-blob';

import { ProbeFailure } from '../failure.ts';
import { ERROR_BYTES_MAX, LIST_BYTES_MAX, LIST_PAGES_MAX } from '../limits.ts';
import type { Answer, Wire } from '../network/wire.ts';
import { retryOnce } from './retry-once.ts';
import { azureCodeOf, azureFailureOf } from './azure-failure.ts';
import type { AzureTarget } from './azure-target.ts';
import type { BucketStore, Stored } from './object-store.ts';

type HttpClient = NonNullable<StoragePipelineOptions['httpClient']>;
type SdkRequest = Parameters<HttpClient['sendRequest']>[0];
type SdkResponse = Awaited<ReturnType<HttpClient['sendRequest']>>;

/** A kind of request, and what a valid answer to it looks like. */
interface Call {
  /** The right that the request needs, as Azure's roles name it. */
  readonly action: string;
  readonly bytesMax: number;
  readonly isAnswer: (answer: Answer) => boolean;
  /** Whether the request is for one blob, which may not exist. */
  readonly isOfBlob?: boolean;
}

const BLOBS = 'containers/blobs';
const LIST: Call = { action: `${BLOBS}/read`, bytesMax: LIST_BYTES_MAX, isAnswer: isList };
const GET: Omit<Call, 'bytesMax'> = { action: `${BLOBS}/read`, isAnswer: isFromAzure, isOfBlob: true };
const PUT: Call = { action: `${BLOBS}/write`, bytesMax: ERROR_BYTES_MAX, isAnswer: isFromAzure };
const DELETE: Call = {
  action: `${BLOBS}/delete`,
  bytesMax: ERROR_BYTES_MAX,
  isAnswer: isFromAzure,
  isOfBlob: true,
};
const LIST_CONTAINERS: Call = { action: 'containers/read', bytesMax: LIST_BYTES_MAX, isAnswer: isList };
const MAKE: Call = { action: 'containers/write', bytesMax: ERROR_BYTES_MAX, isAnswer: isFromAzure };
const REMOVE: Call = { action: 'containers/delete', bytesMax: ERROR_BYTES_MAX, isAnswer: isFromAzure };

/** What authorizes requests to an account: one of its keys, or a token of the machine's identity. */
export type AzureCredential = { readonly key: string } | { readonly token: string };

/** The clients of one request. */
interface Clients {
  readonly container: ContainerClient;
  readonly account: BlobServiceClient;
}

/** A container, accessed with Azure's own library over one wire. One call at a time. */
export class AzureStore implements BucketStore {
  readonly bucket: string;
  readonly prefix: string;
  readonly #target: AzureTarget;
  readonly #wire: Wire;
  readonly #credential: AzureCredential;

  constructor(target: AzureTarget, wire: Wire, credential: AzureCredential) {
    this.#credential = credential;
    this.bucket = target.container ?? '';
    this.prefix = target.prefix;
    this.#target = target;
    this.#wire = wire;
  }

  async tryKeys(signal: AbortSignal): Promise<void> {
    if (this.bucket !== '') await this.list('', 1, signal);
    else
      await this.#call(
        LIST_CONTAINERS,
        ({ account }) => account.listContainers().byPage({ maxPageSize: 1 }).next(),
        signal,
      );
  }

  /** A container that exists by now belongs to the same account, so it is as good as one that was created here. */
  async makeBucket(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#call(MAKE, ({ container }) => container.create(), signal);
      return true;
    } catch (error) {
      if (error instanceof ExistingContainer) return false;
      throw error;
    }
  }

  /** Azure would delete a container together with everything in it, so the prober checks first that it is empty. */
  async removeBucket(signal: AbortSignal): Promise<void> {
    const names = await this.#listAll('', 1, signal);
    if (names.length > 0) throw new ProbeFailure('leftover_bucket', { subject: this.bucket });
    await this.#call(REMOVE, ({ container }) => container.delete(), signal);
  }

  async list(prefix: string, max: number, signal: AbortSignal): Promise<readonly string[]> {
    const names = await this.#listAll(this.prefix + prefix, max, signal);
    return names.map((name) => name.slice(this.prefix.length));
  }

  async #listAll(prefix: string, max: number, signal: AbortSignal): Promise<readonly string[]> {
    const names: string[] = [];
    let continuationToken: string | undefined;
    for (let page = 0; page < LIST_PAGES_MAX && names.length < max; page += 1) {
      const settings = { maxPageSize: max, ...(continuationToken === undefined ? {} : { continuationToken }) };
      const { value } = await this.#call(
        LIST,
        ({ container }) => container.listBlobsFlat({ prefix }).byPage(settings).next(),
        signal,
      );
      const listed = value.done === true ? undefined : value.value;
      names.push(...(listed?.segment.blobItems ?? []).map(({ name }) => name));
      continuationToken = listed?.continuationToken;
      if (continuationToken === undefined || continuationToken === '') break;
    }
    return names.slice(0, max);
  }

  async put(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<Stored> {
    const body = Buffer.from(bytes);
    const put = ({ container }: Clients): Promise<unknown> =>
      container.getBlockBlobClient(this.prefix + name).upload(body, body.length);
    const { answer, isRepeated } = await this.#call(PUT, put, signal);
    const version = answer.headers['x-ms-version-id'];
    return version === undefined || version.length > ERROR_BYTES_MAX ? {} : { version, isRepeated };
  }

  async get(name: string, bytesMax: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    try {
      const get = ({ container }: Clients): Promise<unknown> =>
        container.getBlobClient(this.prefix + name).download(0, undefined, { maxRetryRequests: 0 });
      return (await this.#call({ ...GET, bytesMax }, get, signal)).answer.body;
    } catch (error) {
      if (error instanceof MissingBlob) return undefined;
      throw error;
    }
  }

  /** If the account keeps versions, the deleted blob remains as an old version. Azure has no delete markers. */
  async delete(name: string, version: string | undefined, signal: AbortSignal): Promise<Stored> {
    const remove = ({ container }: Clients): Promise<unknown> => {
      const blob = container.getBlobClient(this.prefix + name);
      return (version === undefined ? blob : blob.withVersion(version)).delete();
    };
    try {
      await this.#call(DELETE, remove, signal);
    } catch (error) {
      // An earlier request, whose answer was lost, has deleted the blob.
      if (!(error instanceof MissingBlob)) throw error;
    }
    return {};
  }

  #call<Value>(
    call: Call,
    invoke: (clients: Clients) => Promise<Value>,
    signal: AbortSignal,
  ): Promise<{ readonly value: Value; readonly answer: Answer; readonly isRepeated: boolean }> {
    return retryOnce(async (isRepeated) => ({ ...(await this.#callOnce(call, invoke, signal)), isRepeated }), signal);
  }

  /**
   * Runs one call of the library. Errors of the library are ignored: the answer, or the lack of one, tells the outcome.
   */
  async #callOnce<Value>(
    call: Call,
    invoke: (clients: Clients) => Promise<Value>,
    signal: AbortSignal,
  ): Promise<{ readonly value: Value; readonly answer: Answer }> {
    let answer: Answer | undefined;
    let failure: unknown;
    const sendRequest = async (request: SdkRequest): Promise<SdkResponse> => {
      try {
        answer = await this.#wire.exchange(toWireRequest(request, this.#target), call.bytesMax, signal);
        return responseOf(request, answer);
      } catch (error) {
        failure = error;
        throw error;
      }
    };
    let outcome: { readonly value: Value } | undefined;
    try {
      outcome = { value: await invoke(clientsOf(this.#target, this.#credential, { sendRequest })) };
    } catch {
      // Ignored, as explained above.
    }
    if (failure !== undefined) throw failure;
    if (answer === undefined) throw new ProbeFailure('invalid_value', { field: 'backup_repo', subject: 'backup_repo' });
    const code = azureCodeOf(answer);
    if (call.isOfBlob === true && answer.status === 404 && code === 'BlobNotFound') throw new MissingBlob();
    if (call === MAKE && code === 'ContainerAlreadyExists') throw new ExistingContainer();
    if (answer.status < 200 || answer.status >= 300) throw azureFailureOf(answer, call.action, this.#target);
    if (outcome === undefined || !call.isAnswer(answer)) {
      throw new ProbeFailure('unexpected_answer', { subject: `HTTP ${answer.status}` });
    }
    return { value: outcome.value, answer };
  }
}

/** There is no blob with that name. */
class MissingBlob extends ProbeFailure {
  constructor() {
    super('no_repository');
  }
}

/** There is already a container with that name. */
class ExistingContainer extends ProbeFailure {
  constructor() {
    super('bucket_taken');
  }
}

/** The lifetime that the library is told for the token: longer than any validation takes. */
const TOKEN_LIFETIME_MS = 3_600_000;

function clientsOf(
  { url, account, container }: AzureTarget,
  credential: AzureCredential,
  httpClient: HttpClient,
): Clients {
  const { key, token } = { key: undefined, token: '', ...credential };
  const getToken = async (): Promise<{ token: string; expiresOnTimestamp: number }> => ({
    token,
    expiresOnTimestamp: Date.now() + TOKEN_LIFETIME_MS,
  });
  const signer = key === undefined ? { getToken } : new StorageSharedKeyCredential(account, key);
  // One attempt, so that the first answer is the one that is reported.
  const pipeline = newPipeline(signer, { httpClient, retryOptions: { maxTries: 1 } });
  const service = new BlobServiceClient(url, pipeline);
  // If the set names no container, this is Azure's default container, which is never requested.
  return { account: service, container: service.getContainerClient(container ?? '$root') };
}

/** Converts a request of the library. It may only go to the host that was looked up and checked. */
function toWireRequest(
  { url, method, headers, body }: SdkRequest,
  target: AzureTarget,
): Parameters<Wire['exchange']>[0] {
  const { origin, host, pathname, search } = new URL(url);
  if (origin !== new URL(target.url).origin) throw new TypeError('the library wants another host');
  return {
    method,
    path: pathname + search,
    headers: { ...headers.toJson({ preserveCase: true }), host },
    body: body === undefined ? undefined : (body as Uint8Array),
  };
}

/**
 * Converts an answer for the library, without the header `location`: the library would follow a redirect to the same
 * host, and sign a request for whatever path that names.
 */
function responseOf(request: SdkRequest, { status, headers, body }: Answer): SdkResponse {
  const { location: _location, ...rest } = headers;
  const all = { toJson: () => ({ ...rest }) };
  return {
    request,
    status,
    headers: all as SdkResponse['headers'],
    bodyAsText: body.toString(),
    readableStreamBody: Readable.from([body]),
  };
}

/** Tells whether an answer is a list. A document type is not accepted: its entities could make a small answer large. */
function isList({ body }: Answer): boolean {
  const text = body.toString('latin1').replace(/^\xef\xbb\xbf/, '');
  return /^\s*(?:<\?xml[^>]{0,100}\?>\s*)?<EnumerationResults[\s/>]/.test(text) && !text.includes('<!');
}

/**
 * Tells whether Azure sent an answer. A captive portal answers everything with 200, but without an id for the request.
 */
function isFromAzure({ headers }: Answer): boolean {
  return headers['x-ms-request-id'] !== undefined;
}
