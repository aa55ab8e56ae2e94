import type { Reason } from '../../../src/validation.ts';
import { isUnknownOutcome, ProbeFailure } from '../failure.ts';
import { ERROR_BYTES_MAX, LIST_BYTES_MAX, LIST_PAGES_MAX } from '../limits.ts';
import type { Answer, Wire, WireRequest } from '../network/wire.ts';
import { retryOnce } from './retry-once.ts';
import type { BucketStore, Stored } from './object-store.ts';
import { codeOf, failureOf, settingRefused, UnclearRefusal, writeFailureOf, type Setting } from './s3-failure.ts';
import type { KeyedS3Target, S3Keys } from './s3-target.ts';

/** Sends one request, which the library has signed, with all its headers and its encoded path. */
export type Send = (request: WireRequest) => Promise<Answer>;

/** The calls of S3, signed by a library and sent by `send`. The answer tells the outcome, not errors of the library. */
export interface S3Calls {
  list(prefix: string, max: number, after?: string): Promise<Page>;
  locate(): Promise<unknown>;
  put(name: string, bytes: Buffer): Promise<unknown>;
  get(name: string): Promise<unknown>;
  delete(name: string, version: string | undefined): Promise<unknown>;
  listBuckets(): Promise<unknown>;
  makeBucket(): Promise<unknown>;
  removeBucket(): Promise<unknown>;
}

/** A page of a list. It may be short, or even empty, and still have a successor. */
export interface Page {
  readonly names: readonly string[];
  /** The token for the next page; undefined if this is the last. */
  readonly next: string | undefined;
}

/** Creates the calls of one library. If the target has no bucket, only `listBuckets` works. */
export type MakeCalls = (target: KeyedS3Target, keys: S3Keys, send: Send) => S3Calls;

/** A kind of request, and what a valid answer to it looks like. */
interface Call {
  /** The right that the request needs, as policies name it. */
  readonly action: string;
  readonly bytesMax: number;
  readonly isAnswer: (answer: Answer) => boolean;
  /** Whether the request is for one object, which may not exist. */
  readonly isOfObject?: boolean;
}

const LIST: Call = { action: 's3:ListBucket', bytesMax: LIST_BYTES_MAX, isAnswer: hasRoot('ListBucketResult') };
const LOCATE: Call = {
  action: 's3:GetBucketLocation',
  bytesMax: ERROR_BYTES_MAX,
  isAnswer: hasRoot('LocationConstraint'),
};
// A captive portal answers everything with 200, but without the ETag of what was stored.
const PUT: Call = {
  action: 's3:PutObject',
  bytesMax: ERROR_BYTES_MAX,
  isAnswer: ({ headers }) => headers['etag'] !== undefined,
};
const DELETE: Call = {
  action: 's3:DeleteObject',
  bytesMax: ERROR_BYTES_MAX,
  isAnswer: () => true,
  isOfObject: true,
};
const DELETE_VERSION: Call = { ...DELETE, action: 's3:DeleteObjectVersion' };
const GET: Omit<Call, 'bytesMax'> = { action: 's3:GetObject', isAnswer: () => true, isOfObject: true };

const LIST_BUCKETS: Call = {
  action: 's3:ListAllMyBuckets',
  bytesMax: LIST_BYTES_MAX,
  isAnswer: hasRoot('ListAllMyBucketsResult'),
};
const MAKE_BUCKET: Call = { action: 's3:CreateBucket', bytesMax: ERROR_BYTES_MAX, isAnswer: () => true };
const REMOVE_BUCKET: Call = { action: 's3:DeleteBucket', bytesMax: ERROR_BYTES_MAX, isAnswer: () => true };

/** The settings to leave out of a write, in this order, to find out which is refused: one by one, and then both. */
const SETTINGS: readonly (readonly [Setting, ...Setting[]])[] = [
  ['storageClass'],
  ['encryption'],
  ['storageClass', 'encryption'],
];

/** An error document is a refusal whatever its status: some servers begin to answer before they know the outcome. */
const isError: (answer: Answer) => boolean = hasRoot('Error');

/**
 * An access key, in the form of Amazon's, that no server knows. It also serves as a secret key that is certainly wrong.
 */
const UNKNOWN_ACCESS_KEY = 'CIOUNKNOWNPROBEKEY00';

/** Reasons that say nothing about the keys with which a request was made. */
const INCONCLUSIVE: ReadonlySet<Reason> = new Set([
  'timed_out',
  'connection_lost',
  'connection_refused',
  'unreachable',
  'server_error',
]);

/** A bucket, accessed with one library over one wire. One call at a time. */
export class S3Store implements BucketStore {
  readonly bucket: string;
  readonly prefix: string;
  /** Used by restic before version 0.7. Up to 0.16, restic looks there if `keys/` is empty (`s3legacy`). */
  readonly legacyKeysFolder = 'key/';
  readonly #target: KeyedS3Target;
  readonly #wire: Wire;
  readonly #make: MakeCalls;

  constructor(target: KeyedS3Target, wire: Wire, make: MakeCalls) {
    this.bucket = target.bucket ?? '';
    this.prefix = target.prefix;
    this.#target = target;
    this.#wire = wire;
    this.#make = make;
  }

  async list(prefix: string, max: number, signal: AbortSignal): Promise<readonly string[]> {
    const names: string[] = [];
    let next: string | undefined;
    for (let page = 0; page < LIST_PAGES_MAX && names.length < max; page += 1) {
      const after = next;
      const { value } = await this.#call(LIST, (calls) => calls.list(this.prefix + prefix, max, after), signal);
      names.push(...value.names.map((name) => name.slice(this.prefix.length)));
      ({ next } = value);
      if (next === undefined) break;
    }
    return names.slice(0, max);
  }

  async tryKeys(signal: AbortSignal): Promise<void> {
    if (this.#target.bucket !== undefined) await this.list('', 1, signal);
    else await this.#call(LIST_BUCKETS, (calls) => calls.listBuckets(), signal);
  }

  async makeBucket(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#call(MAKE_BUCKET, (calls) => calls.makeBucket(), signal);
      return true;
    } catch (error) {
      if (error instanceof OwnBucket) return false;
      throw error;
    }
  }

  /** No server deletes a bucket that is not empty. */
  async removeBucket(signal: AbortSignal): Promise<void> {
    await this.#call(REMOVE_BUCKET, (calls) => calls.removeBucket(), signal);
  }

  /** Requests the region of the bucket, as restic does if it was given none. */
  async locate(signal: AbortSignal): Promise<void> {
    await this.#call(LOCATE, (calls) => calls.locate(), signal);
  }

  async put(name: string, bytes: Uint8Array, signal: AbortSignal): Promise<Stored> {
    const put = (calls: S3Calls): Promise<unknown> => calls.put(this.prefix + name, Buffer.from(bytes));
    try {
      const { answer, isRepeated } = await this.#call(PUT, put, signal);
      return { ...storedOf(answer), isRepeated };
    } catch (error) {
      if (!(error instanceof UnclearRefusal)) throw error;
      return this.#putWithout(error, put, signal);
    }
  }

  /**
   * Finds the setting for which the server refuses a write, by leaving settings out. If no setting is the cause, throws
   * the refusal: any other failure of such a request says nothing about the set, which asks for these settings.
   */
  async #putWithout(
    refusal: UnclearRefusal,
    put: (calls: S3Calls) => Promise<unknown>,
    signal: AbortSignal,
  ): Promise<Stored> {
    const { keys } = this.#target;
    for (const settings of SETTINGS.filter((all) => all.every((setting) => this.#target[setting] !== undefined))) {
      try {
        const { answer } = await this.#callOnce(PUT, keys, put, signal, withoutSettings(this.#target, settings));
        const refused = settingRefused(settings[0], this.#target);
        return { ...storedOf(answer), isRepeated: refusal.followsUnknownOutcome, refused };
      } catch (error) {
        if (signal.aborted || !(error instanceof ProbeFailure)) throw error;
        if (error instanceof UnclearRefusal || !isUnknownOutcome(error.reason)) continue;
        refusal.followsUnknownOutcome = true;
        break;
      }
    }
    throw refusal;
  }

  async get(name: string, bytesMax: number, signal: AbortSignal): Promise<Uint8Array | undefined> {
    try {
      const get = (calls: S3Calls): Promise<unknown> => calls.get(this.prefix + name);
      return (await this.#call({ ...GET, bytesMax }, get, signal)).answer.body;
    } catch (error) {
      if (error instanceof MissingObject) return undefined;
      throw error;
    }
  }

  async delete(name: string, version: string | undefined, signal: AbortSignal): Promise<Stored> {
    const call = version === undefined ? DELETE : DELETE_VERSION;
    const remove = (calls: S3Calls): Promise<unknown> => calls.delete(this.prefix + name, version);
    let answer: Answer;
    let isRepeated: boolean;
    try {
      ({ answer, isRepeated } = await this.#call(call, remove, signal));
    } catch (error) {
      // An earlier request, whose answer was lost, has deleted the object.
      if (error instanceof MissingObject) return {};
      throw error;
    }
    const stored = storedOf(answer);
    // MinIO does not mention the marker that it creates in a bucket whose versioning was on, and is suspended now.
    const isUnreported = version === undefined && stored.version === undefined && isMinio(answer);
    return { ...(isUnreported ? await this.#findDeleteMarker(name, signal) : stored), isRepeated };
  }

  /** Finds the marker that hides a deleted object, from the answer to a request for the object. */
  async #findDeleteMarker(name: string, signal: AbortSignal): Promise<Stored> {
    try {
      const get = (calls: S3Calls): Promise<unknown> => calls.get(this.prefix + name);
      await this.#call({ ...GET, bytesMax: ERROR_BYTES_MAX }, get, signal);
    } catch (error) {
      if (error instanceof MissingObject) return error.hiddenBy;
      if (!(error instanceof ProbeFailure)) throw error;
    }
    // The object was deleted. Whether there is a marker cannot be found out.
    return {};
  }

  /**
   * Tells whether the server answers a wrong secret with something other than "access denied". It is asked with a
   * secret key that is certainly wrong.
   *
   * @throws ProbeFailure if the answer says nothing about the keys
   */
  async recognizesWrongSecret(signal: AbortSignal): Promise<boolean> {
    const keys = { ...this.#target.keys, secretKey: UNKNOWN_ACCESS_KEY };
    try {
      if (this.#target.bucket === undefined)
        await this.#callOnce(LIST_BUCKETS, keys, (calls) => calls.listBuckets(), signal);
      else await this.#callOnce(LIST, keys, (calls) => calls.list(this.prefix, 1), signal);
    } catch (error) {
      if (!(error instanceof ProbeFailure) || INCONCLUSIVE.has(error.reason)) throw error;
      return error.reason !== 'access_denied';
    }
    return false;
  }

  async #call<Value>(
    call: Call,
    invoke: (calls: S3Calls) => Promise<Value>,
    signal: AbortSignal,
  ): Promise<{ readonly value: Value; readonly answer: Answer; readonly isRepeated: boolean }> {
    const { keys } = this.#target;
    try {
      return await retryOnce(
        async (isRepeated) => ({ ...(await this.#callOnce(call, keys, invoke, signal)), isRepeated }),
        signal,
      );
    } catch (error) {
      const isGuess = error instanceof ProbeFailure && error.reason === 'wrong_secret_key';
      throw isGuess ? await this.#verifyWrongSecret(error, call, invoke, signal) : error;
    }
  }

  async #callOnce<Value>(
    call: Call,
    keys: S3Keys,
    invoke: (calls: S3Calls) => Promise<Value>,
    signal: AbortSignal,
    target: KeyedS3Target = this.#target,
  ): Promise<{ readonly value: Value; readonly answer: Answer }> {
    let answer: Answer | undefined;
    let failure: unknown;
    const send: Send = async (request) => {
      try {
        answer = await this.#wire.exchange(request, call.bytesMax, signal);
        return withoutClock(answer);
      } catch (error) {
        failure = error;
        throw error;
      }
    };
    let outcome: { readonly value: Value } | undefined;
    try {
      outcome = { value: await invoke(this.#make(target, keys, send)) };
    } catch {
      // The answer, or the failure to get one, tells what went wrong.
    }
    if (failure !== undefined) throw failure;
    // The library sent nothing, because it does not accept the name of the bucket or of the host.
    if (answer === undefined) throw new ProbeFailure('invalid_value', { field: 'backup_repo', subject: 'backup_repo' });
    const code = codeOf(answer);
    if (call.isOfObject === true && answer.status === 404 && code === 'NoSuchKey') {
      throw new MissingObject(storedOf(answer));
    }
    if (call === MAKE_BUCKET && code === 'BucketAlreadyOwnedByYou') throw new OwnBucket();
    // The contents of an object may look like an error document.
    if (answer.status < 200 || answer.status >= 300 || (call.action !== GET.action && isError(answer))) {
      throw call === PUT
        ? writeFailureOf(answer, call.action, this.bucket, target)
        : failureOf(answer, call.action, this.bucket);
    }
    if (outcome === undefined || !call.isAnswer(answer)) {
      throw new ProbeFailure('unexpected_answer', { subject: `HTTP ${answer.status}` });
    }
    return { value: outcome.value, answer };
  }

  /**
   * Checks a failure `wrong_secret_key` with a request whose access key is unknown. Some servers (Swift) report a wrong
   * signature for that as well; then it is not known which of the two keys is wrong, and the failure is `key_rejected`.
   */
  async #verifyWrongSecret<Value>(
    failure: ProbeFailure,
    call: Call,
    invoke: (calls: S3Calls) => Promise<Value>,
    signal: AbortSignal,
  ): Promise<ProbeFailure> {
    try {
      await this.#callOnce(call, { accessKey: UNKNOWN_ACCESS_KEY, secretKey: UNKNOWN_ACCESS_KEY }, invoke, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ProbeFailure && error.reason === 'unknown_access_key') return failure;
    }
    return new ProbeFailure('key_rejected', { field: 'secret_key' });
  }
}

/** There is no object with that name. */
class MissingObject extends ProbeFailure {
  /** The delete marker that hides the object, if there is one. */
  readonly hiddenBy: Stored;

  constructor(hiddenBy: Stored) {
    super('no_repository');
    this.hiddenBy = hiddenBy;
  }
}

/** The bucket exists already, and belongs to the same account: another client has just created it. */
class OwnBucket extends ProbeFailure {
  constructor() {
    super('bucket_taken');
  }
}

/** Removes the `Date`: the SDK would adjust its clock to the server's, and so hide that this host's is wrong. */
function withoutClock(answer: Answer): Answer {
  const { date: _date, ...headers } = answer.headers;
  return { ...answer, headers };
}

/**
 * Returns a test for XML answers with a given root element. A document type is not accepted: its entities could make a
 * small answer large.
 */
function hasRoot(element: string): (answer: Answer) => boolean {
  const root = new RegExp(`^\\s*(?:<\\?xml[^>]{0,100}\\?>\\s*)?<${element}[\\s/>]`);
  return ({ body }) => {
    const text = body.toString('latin1');
    return root.test(text) && !text.includes('<!');
  };
}

/**
 * Tells whether MinIO sent an answer. Behind a proxy the header `server` names the proxy; then the host id tells, which
 * is a digest in hex for MinIO and base64 for Amazon.
 */
function isMinio({ headers }: Answer): boolean {
  return headers['server'] === 'MinIO' || /^[0-9a-f]{64}$/.test(headers['x-amz-id-2'] ?? '');
}

function withoutSettings(target: KeyedS3Target, omitted: readonly Setting[]): KeyedS3Target {
  const { storageClass, encryption, ...rest } = target;
  return {
    ...rest,
    ...(storageClass === undefined || omitted.includes('storageClass') ? {} : { storageClass }),
    ...(encryption === undefined || omitted.includes('encryption') ? {} : { encryption }),
  };
}

function storedOf({ headers }: Answer): Stored {
  const version = headers['x-amz-version-id'];
  // `null` is the version of objects and markers that were written while the bucket kept no versions. Such an object is
  // gone once it is deleted; such a marker has to be deleted.
  const isMissing = version === undefined || (version === 'null' && headers['x-amz-delete-marker'] !== 'true');
  return isMissing || version.length > 1024 ? {} : { version };
}
