import { ProbeFailure } from '../failure.ts';
import { parseObject } from '../json.ts';
import { ERROR_BYTES_MAX, LIST_BYTES_MAX, LIST_PAGES_MAX } from '../limits.ts';
import type { Answer, Wire, WireRequest } from '../network/wire.ts';
import { googleFailureOf } from './google-failure.ts';
import type { GoogleTarget } from './google-target.ts';
import type { BucketStore, Stored } from './object-store.ts';
import { retryOnce } from './retry-once.ts';
import { hostHeaderOf, invalidValue, missingValue } from './set-endpoint.ts';

/** A request of the JSON API. */
interface Call extends Pick<WireRequest, 'method' | 'path' | 'body'> {
  /** The right that the request needs. */
  readonly action: string;
  readonly bytesMax: number;
  /** The media type of the body. */
  readonly type?: string;
}

/**
 * A bucket of Google Cloud Storage, accessed with its JSON API. One call at a time.
 *
 * Google's own library is not used: it makes connections of its own, to hosts that were not checked, and searches this
 * machine for keys. Only six of its many requests would be needed.
 */
export class GoogleStore implements BucketStore {
  readonly bucket: string;
  readonly prefix: string;
  readonly #target: GoogleTarget;
  readonly #wire: Wire;
  readonly #token: string;
  /** By name, the generation of each object that was written here. */
  readonly #generations = new Map<string, string>();

  constructor(target: GoogleTarget, wire: Wire, token: string) {
    this.bucket = target.bucket ?? '';
    this.prefix = target.prefix;
    this.#target = target;
    this.#wire = wire;
    this.#token = token;
  }

  /** Without a bucket there is nothing to request: that a token was issued is all that can be known about the key. */
  async tryKeys(signal: AbortSignal): Promise<void> {
    if (this.bucket !== '') await this.list('', 1, signal);
  }

  /** Bucket names are global at Google: a bucket that exists already may belong to anybody. */
  async makeBucket(signal: AbortSignal): Promise<boolean> {
    const { project = '', location } = this.#target;
    if (project === '') throw missingValue('project_id');
    const path = `/storage/v1/b?${new URLSearchParams({ project, fields: 'name' }).toString()}`;
    const body = Buffer.from(JSON.stringify({ name: this.bucket, ...(location === undefined ? {} : { location }) }));
    const call = { method: 'POST', path, body, action: 'storage.buckets.create', bytesMax: ERROR_BYTES_MAX };
    const answer = await this.#call({ ...call, type: 'application/json' }, signal, [404, 409]);
    if (answer.status === 409) throw new ProbeFailure('bucket_taken', { field: 'backup_repo', subject: this.bucket });
    if (answer.status === 404) throw invalidValue('project_id');
    return true;
  }

  /** Google deletes no bucket that is not empty. */
  async removeBucket(signal: AbortSignal): Promise<void> {
    const call = { method: 'DELETE', action: 'storage.buckets.delete', bytesMax: ERROR_BYTES_MAX };
    await this.#call({ ...call, path: this.#bucketPath() }, signal);
  }

  async list(prefix: string, max: number, signal: AbortSignal): Promise<readonly string[]> {
    const names: string[] = [];
    let pageToken = '';
    for (let page = 0; page < LIST_PAGES_MAX && names.length < max; page += 1) {
      const query = new URLSearchParams({
        prefix: this.prefix + prefix,
        maxResults: String(max),
        fields: 'kind,items(name),nextPageToken',
        ...(pageToken === '' ? {} : { pageToken }),
      });
      const path = `${this.#bucketPath()}/o?${query.toString()}`;
      const call = { method: 'GET', path, action: 'storage.objects.list', bytesMax: LIST_BYTES_MAX };
      const listed = readList(await this.#call(call, signal));
      names.push(...listed.names.map((name) => name.slice(this.prefix.length)));
      pageToken = listed.nextPageToken;
      if (pageToken === '') break;
    }
    return names.slice(0, max);
  }

  async put(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<Stored> {
    const query = new URLSearchParams({ uploadType: 'media', name: this.prefix + name });
    const path = `/upload${this.#bucketPath()}/o?${query.toString()}`;
    const call = { method: 'POST', path, body: bytes, action: 'storage.objects.create', bytesMax: ERROR_BYTES_MAX };
    // The first request may have succeeded. In a bucket that keeps versions, a second object would replace that one,
    // which would then remain as an old version.
    const second = { ...call, path: `${path}&ifGenerationMatch=0` };
    const answer = await retryOnce((isRepeated) => this.#callOnce(isRepeated ? second : call, signal, [412]), signal);
    const generation = answer.status === 412 ? await this.#findGeneration(name, signal) : generationIn(answer);
    if (generation === undefined) throw unexpected(answer);
    this.#generations.set(name, generation);
    return {};
  }

  async get(name: string, bytesMax: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const path = `${this.#objectPath(name)}?alt=media`;
    const answer = await this.#call({ method: 'GET', path, action: 'storage.objects.get', bytesMax }, signal, [404]);
    return answer.status === 404 ? undefined : answer.body;
  }

  /**
   * A deletion with a generation is permanent at once, even in a bucket that keeps versions, and needs the same right.
   */
  async delete(name: string, _version: string | undefined, signal: AbortSignal): Promise<Stored> {
    const generation = this.#generations.get(name) ?? (await this.#findGeneration(name, signal));
    const path = this.#objectPath(name) + (generation === undefined ? '' : `?generation=${generation}`);
    const call = { method: 'DELETE', path, action: 'storage.objects.delete', bytesMax: ERROR_BYTES_MAX };
    await this.#call(call, signal, [404]);
    return {};
  }

  /**
   * Requests the generation of an object for which the answer to the write was lost; undefined if there is no object,
   * or if the request is denied.
   */
  async #findGeneration(name: string, signal: AbortSignal): Promise<string | undefined> {
    const path = `${this.#objectPath(name)}?fields=generation`;
    const call = { method: 'GET', path, action: 'storage.objects.get', bytesMax: ERROR_BYTES_MAX };
    const answer = await this.#call(call, signal, [403, 404]);
    return generationIn(answer);
  }

  #bucketPath(): string {
    return `/storage/v1/b/${encodeURIComponent(this.bucket)}`;
  }

  #objectPath(name: string): string {
    return `${this.#bucketPath()}/o/${encodeURIComponent(this.prefix + name)}`;
  }

  #call(call: Call, signal: AbortSignal, acceptedStatuses: readonly number[] = []): Promise<Answer> {
    return retryOnce(() => this.#callOnce(call, signal, acceptedStatuses), signal);
  }

  async #callOnce(call: Call, signal: AbortSignal, acceptedStatuses: readonly number[]): Promise<Answer> {
    const { method, path, body, action, bytesMax, type = 'application/octet-stream' } = call;
    const headers = {
      host: hostHeaderOf(this.#target.endpoint),
      authorization: `Bearer ${this.#token}`,
      ...(body === undefined ? {} : { 'content-type': type, 'content-length': String(body.length) }),
    };
    const answer = await this.#wire.exchange({ method, path, headers, body }, bytesMax, signal);
    const { status } = answer;
    if ((status >= 200 && status < 300) || acceptedStatuses.includes(status)) return answer;
    throw googleFailureOf(answer, { action, bucket: this.bucket });
  }
}

function generationIn(answer: Answer): string | undefined {
  const { generation } = parseObject(answer.body) ?? {};
  return typeof generation === 'string' && /^\d{1,20}$/.test(generation) ? generation : undefined;
}

function readList(answer: Answer): { readonly names: readonly string[]; readonly nextPageToken: string } {
  const { kind, items = [], nextPageToken = '' } = parseObject(answer.body) ?? {};
  const isList = kind === 'storage#objects' && Array.isArray(items) && typeof nextPageToken === 'string';
  if (!isList || nextPageToken.length > ERROR_BYTES_MAX) throw unexpected(answer);
  const names = (items as readonly { readonly name?: unknown }[]).map((item) => item?.name);
  if (!names.every((name) => typeof name === 'string')) throw unexpected(answer);
  return { names, nextPageToken };
}

function unexpected({ status }: Answer): ProbeFailure {
  return new ProbeFailure('unexpected_answer', { subject: `HTTP ${status}` });
}
