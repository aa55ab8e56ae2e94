import type { Reason } from '../../../src/validation.ts';
import { leavesUnknown, ProbeFailure } from '../failure.ts';
import { ERROR_BYTES_MAX, LIST_BYTES_MAX, LIST_PAGES_MAX } from '../limits.ts';
import type { Answer, Wire, WireRequest } from '../network/wire.ts';
import { askTwice } from './ask-twice.ts';
import type { BucketStore, Stored } from './object-store.ts';
import { codeOf, failureOf, settingRefused, UnclearRefusal, writeFailureOf, type Setting } from './s3-failure.ts';
import type { KeyedS3Target, S3Keys } from './s3-target.ts';

/** Sends one signed request; the SDK hands it over with its headers and its encoded path. */
export type Send = (request: WireRequest) => Promise<Answer>;

/** The calls of S3 as a library makes them: signed, and sent by `send`. What it throws is not looked at: the answer tells. */
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

/** A part of a list; it may be short, even empty, and have a next one. */
export interface Page {
  readonly names: readonly string[];
  /** What the next one is asked for with; undefined: this was the last. */
  readonly next: string | undefined;
}

/** Makes the calls of one library; where the target has no bucket, only that for the list of buckets works. */
export type MakeCalls = (target: KeyedS3Target, keys: S3Keys, send: Send) => S3Calls;

/** What is asked, and what an answer to it looks like. */
interface Call {
  /** The right in the policy of a user that it needs. */
  readonly action: string;
  readonly bytesMax: number;
  readonly isAnswer: (answer: Answer) => boolean;
  /** Whether it is of one object, which may not be there. */
  readonly isOfObject?: boolean;
}

const LIST: Call = { action: 's3:ListBucket', bytesMax: LIST_BYTES_MAX, isAnswer: hasRoot('ListBucketResult') };
const LOCATE: Call = {
  action: 's3:GetBucketLocation',
  bytesMax: ERROR_BYTES_MAX,
  isAnswer: hasRoot('LocationConstraint'),
};
// A captive portal says 200 to everything, but knows no digests of what was stored.
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

/** In the order in which they are left out of a write, to see which of them is refused: one by one, and then both. */
const SETTINGS: readonly (readonly [Setting, ...Setting[]])[] = [
  ['storageClass'],
  ['encryption'],
  ['storageClass', 'encryption'],
];

/** With it, an answer is a refusal whatever its status is: some servers begin to answer before they know. */
const isError: (answer: Answer) => boolean = hasRoot('Error');

/** No server knows it; shorter than Amazon's, and like theirs. */
const UNKNOWN_ACCESS_KEY = 'CIOUNKNOWNPROBEKEY00';

/** How a request ends that says nothing of the keys that it was made with. */
const SAYS_NOTHING: ReadonlySet<Reason> = new Set([
  'timed_out',
  'connection_lost',
  'connection_refused',
  'unreachable',
  'server_error',
]);

/** A bucket, by the calls of one library over one wire. One call at a time. */
export class S3Store implements BucketStore {
  readonly bucket: string;
  readonly prefix: string;
  /** Before version 0.7; up to 0.16 restic looks there where `keys/` is empty (`s3legacy`). */
  readonly formerKeys = 'key/';
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

  async knock(signal: AbortSignal): Promise<void> {
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

  /** No server takes away one that is not empty. */
  async removeBucket(signal: AbortSignal): Promise<void> {
    await this.#call(REMOVE_BUCKET, (calls) => calls.removeBucket(), signal);
  }

  /** Asks for the region of the bucket, as restic does where it was told none. */
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
   * Finds the setting that keeps objects from being written, by leaving it out; where none does, the refusal is thrown:
   * what else becomes of a request that is not the set's says nothing of the set.
   */
  async #putWithout(
    refusal: UnclearRefusal,
    put: (calls: S3Calls) => Promise<unknown>,
    signal: AbortSignal,
  ): Promise<Stored> {
    const { keys } = this.#target;
    for (const settings of SETTINGS.filter((all) => all.every((setting) => this.#target[setting] !== undefined))) {
      try {
        const { answer } = await this.#ask(PUT, keys, put, signal, withoutSettings(this.#target, settings));
        const refused = settingRefused(settings[0], this.#target);
        return { ...storedOf(answer), isRepeated: refusal.isAfterUnknown, refused };
      } catch (error) {
        if (signal.aborted || !(error instanceof ProbeFailure)) throw error;
        if (error instanceof UnclearRefusal || !leavesUnknown(error.reason)) continue;
        refusal.isAfterUnknown = true;
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
      // A request that was lost has done it.
      if (error instanceof MissingObject) return {};
      throw error;
    }
    const stored = storedOf(answer);
    // MinIO tells nothing of the marker that it makes where versions were kept once.
    const isUntold = version === undefined && stored.version === undefined && isMinio(answer);
    return { ...(isUntold ? await this.#markerOf(name, signal) : stored), isRepeated };
  }

  /** What hides an object that is not there. */
  async #markerOf(name: string, signal: AbortSignal): Promise<Stored> {
    try {
      const get = (calls: S3Calls): Promise<unknown> => calls.get(this.prefix + name);
      await this.#call({ ...GET, bytesMax: ERROR_BYTES_MAX }, get, signal);
    } catch (error) {
      if (error instanceof MissingObject) return error.hiddenBy;
      if (!(error instanceof ProbeFailure)) throw error;
    }
    // It was deleted, and more than that may not be asked.
    return {};
  }

  /**
   * Whether the server says of a secret that is wrong for sure more than that the access is denied.
   *
   * @throws ProbeFailure where it says nothing of it
   */
  async tellsWrongSecrets(signal: AbortSignal): Promise<boolean> {
    const keys = { ...this.#target.keys, secretKey: UNKNOWN_ACCESS_KEY };
    try {
      if (this.#target.bucket === undefined)
        await this.#ask(LIST_BUCKETS, keys, (calls) => calls.listBuckets(), signal);
      else await this.#ask(LIST, keys, (calls) => calls.list(this.prefix, 1), signal);
    } catch (error) {
      if (!(error instanceof ProbeFailure) || SAYS_NOTHING.has(error.reason)) throw error;
      return error.reason !== 'access_denied';
    }
    return false;
  }

  async #call<Value>(
    call: Call,
    ask: (calls: S3Calls) => Promise<Value>,
    signal: AbortSignal,
  ): Promise<{ readonly value: Value; readonly answer: Answer; readonly isRepeated: boolean }> {
    const { keys } = this.#target;
    try {
      return await askTwice(
        async (isRepeated) => ({ ...(await this.#ask(call, keys, ask, signal)), isRepeated }),
        signal,
      );
    } catch (error) {
      const isGuess = error instanceof ProbeFailure && error.reason === 'wrong_secret_key';
      throw isGuess ? await this.#withoutGuess(error, call, ask, signal) : error;
    }
  }

  async #ask<Value>(
    call: Call,
    keys: S3Keys,
    ask: (calls: S3Calls) => Promise<Value>,
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
      outcome = { value: await ask(this.#make(target, keys, send)) };
    } catch {
      // What went wrong is in the answer, or in what kept it from coming.
    }
    if (failure !== undefined) throw failure;
    // It refused to send anything: a name of a bucket or of a host that it does not take.
    if (answer === undefined) throw new ProbeFailure('invalid_value', { field: 'backup_repo', subject: 'backup_repo' });
    const code = codeOf(answer);
    if (call.isOfObject === true && answer.status === 404 && code === 'NoSuchKey') {
      throw new MissingObject(storedOf(answer));
    }
    if (call === MAKE_BUCKET && code === 'BucketAlreadyOwnedByYou') throw new OwnBucket();
    // An object may look like anything.
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

  /** Some servers (Swift) say of every key that its signature is wrong: then which of the two is wrong is not known. */
  async #withoutGuess<Value>(
    failure: ProbeFailure,
    call: Call,
    ask: (calls: S3Calls) => Promise<Value>,
    signal: AbortSignal,
  ): Promise<ProbeFailure> {
    try {
      await this.#ask(call, { accessKey: UNKNOWN_ACCESS_KEY, secretKey: UNKNOWN_ACCESS_KEY }, ask, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ProbeFailure && error.reason === 'unknown_access_key') return failure;
    }
    return new ProbeFailure('key_rejected', { field: 'secret_key' });
  }
}

/** There is no object of that name. */
class MissingObject extends ProbeFailure {
  /** Its marker, where there is one. */
  readonly hiddenBy: Stored;

  constructor(hiddenBy: Stored) {
    super('no_repository');
    this.hiddenBy = hiddenBy;
  }
}

/** Somebody else of the same account has just made it. */
class OwnBucket extends ProbeFailure {
  constructor() {
    super('bucket_taken');
  }
}

/** The SDK would set its own clock by the server's, and so hide that this host's is wrong. */
function withoutClock(answer: Answer): Answer {
  const { date: _date, ...headers } = answer.headers;
  return { ...answer, headers };
}

/** No document type: entities could make a small answer large. */
function hasRoot(element: string): (answer: Answer) => boolean {
  const root = new RegExp(`^\\s*(?:<\\?xml[^>]{0,100}\\?>\\s*)?<${element}[\\s/>]`);
  return ({ body }) => {
    const text = body.toString('latin1');
    return root.test(text) && !text.includes('<!');
  };
}

/** Behind a proxy, too, which has a name of its own: its id of a host is a digest in hex, and Amazon's is base64. */
function isMinio({ headers }: Answer): boolean {
  return headers['server'] === 'MinIO' || /^[0-9a-f]{64}$/.test(headers['x-amz-id-2'] ?? '');
}

function withoutSettings(target: KeyedS3Target, left: readonly Setting[]): KeyedS3Target {
  const { storageClass, encryption, ...rest } = target;
  return {
    ...rest,
    ...(storageClass === undefined || left.includes('storageClass') ? {} : { storageClass }),
    ...(encryption === undefined || left.includes('encryption') ? {} : { encryption }),
  };
}

function storedOf({ headers }: Answer): Stored {
  const version = headers['x-amz-version-id'];
  // An object that was written while versions were not kept has the version `null`, and so has a marker of such a time.
  const isMissing = version === undefined || (version === 'null' && headers['x-amz-delete-marker'] !== 'true');
  return isMissing || version.length > 1024 ? {} : { version };
}
