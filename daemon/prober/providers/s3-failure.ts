import type { Reason } from '../../../src/validation.ts';
import { detailOf, ProbeFailure } from '../failure.ts';
import type { Answer } from '../network/wire.ts';
import type { S3Target } from './s3-target.ts';

/**
 * Reasons by the error codes of S3: Amazon's, and those of MinIO, Ceph and Swift. The text that comes with a code
 * differs from server to server, and is empty in Ceph's RGW.
 */
const REASONS_BY_CODE: ReadonlyMap<string, Reason> = new Map([
  ['InvalidAccessKeyId', 'unknown_access_key'],
  ['SignatureDoesNotMatch', 'wrong_secret_key'],
  ['InvalidSecurity', 'key_rejected'],
  ['AuthFailure', 'key_rejected'],
  ['InvalidToken', 'key_rejected'],
  ['InvalidTokenId', 'key_rejected'],
  ['ExpiredToken', 'key_expired'],
  ['ExpiredTokenException', 'key_expired'],
  ['TokenRefreshRequired', 'key_expired'],
  ['UserSuspended', 'user_suspended'],
  ['AccountProblem', 'user_suspended'],
  ['NotSignedUp', 'user_suspended'],
  ['RequestTimeTooSkewed', 'clock_skewed'],
  ['RequestExpired', 'clock_skewed'],
  ['NoSuchBucket', 'no_such_bucket'],
  ['BucketAlreadyExists', 'bucket_taken'],
  ['InvalidLocationConstraint', 'invalid_value'],
  ['OperationAborted', 'server_error'],
  ['InvalidBucketName', 'no_such_bucket'],
  ['AccessDenied', 'access_denied'],
  ['AllAccessDisabled', 'access_denied'],
  ['Forbidden', 'access_denied'],
  ['RequestTimeout', 'server_error'],
  ['SlowDown', 'server_error'],
  ['InternalError', 'server_error'],
  ['ServiceUnavailable', 'server_error'],
]);

type Settings = Pick<S3Target, Setting>;

/** Codes for a bucket that is in another region, which a header or the element `Region` names. */
const REGION_CODES: ReadonlySet<string> = new Set([
  'AuthorizationHeaderMalformed',
  'PermanentRedirect',
  'TemporaryRedirect',
  'Redirect',
  'IllegalLocationConstraintException',
  'InvalidRegion',
]);

/** Settings of a set for the way in which objects are stored. */
export type Setting = 'storageClass' | 'encryption';

/** Codes for a storage class that a server lacks, and for an encryption that it does not offer or has no keys for. */
const CODES_OF_SETTINGS: readonly (readonly [setting: Setting, codes: RegExp])[] = [
  ['storageClass', /^InvalidStorageClass$/],
  ['encryption', /^(?:InvalidEncryptionAlgorithmError|KMS\..+|KMSNotConfigured)$/],
];

/** Codes with which Amazon, MinIO and RGW refuse a storage class or an encryption, but much else as well. */
const UNCLEAR_CODES: ReadonlySet<string> = new Set(['NotImplemented', 'InvalidRequest', 'InvalidArgument']);

const FIELDS_OF_SETTINGS: Readonly<Record<Setting, string>> = { storageClass: 'storage_class', encryption: 'sse' };

/** The field that has to be corrected. */
const FIELDS: Readonly<Partial<Record<Reason, string>>> = {
  unknown_access_key: 'access_key',
  wrong_secret_key: 'secret_key',
  key_rejected: 'secret_key',
  key_expired: 'session_token',
  wrong_region: 'region',
  no_such_bucket: 'backup_repo',
  bucket_taken: 'backup_repo',
  invalid_value: 'region',
  redirected: 'backup_repo',
};

const CODE = /<Code>([A-Za-z0-9._-]{1,64})<\/Code>/;
const REGION = /<Region>([A-Za-z0-9._-]{1,64})<\/Region>/;

/** Returns the code of an error, as the server gave it. MinIO puts it in a header if there is no body. */
export function codeOf({ headers, body }: Answer): string | undefined {
  const fromHeader = /^[A-Za-z0-9._-]{1,64}$/.exec(headers['x-minio-error-code'] ?? '')?.[0];
  return CODE.exec(body.toString('latin1'))?.[1] ?? fromHeader;
}

/** Returns the region of the bucket, if an answer names it. */
function regionOf({ headers, body }: Answer): string | undefined {
  const fromHeader = /^[A-Za-z0-9._-]{1,64}$/.exec(headers['x-amz-bucket-region'] ?? '')?.[0];
  return fromHeader ?? REGION.exec(body.toString('latin1'))?.[1];
}

/** Maps the answer to a refused request to a failure, by its status and code alone. */
export function failureOf(answer: Answer, action: string, bucket: string): ProbeFailure {
  const code = codeOf(answer);
  const reason = reasonOf(answer, code);
  const subject = subjectOf(reason, answer, code, action, bucket);
  const field = code?.startsWith('InvalidToken') === true ? 'session_token' : FIELDS[reason];
  return new ProbeFailure(reason, detailOf(field, subject));
}

/** The refusal of a write that may be caused by a storage class or an encryption that the set asks for. */
export class UnclearRefusal extends ProbeFailure {
  constructor({ reason, detail }: ProbeFailure) {
    super(reason, detail);
    this.name = 'UnclearRefusal';
  }
}

/** Maps the answer to a refused write to a failure. */
export function writeFailureOf(answer: Answer, action: string, bucket: string, target: Settings): ProbeFailure {
  const code = codeOf(answer) ?? '';
  const failure = failureOf(answer, action, bucket);
  const [refused] =
    CODES_OF_SETTINGS.find(([setting, codes]) => target[setting] !== undefined && codes.test(code)) ?? [];
  if (refused !== undefined) return settingRefused(refused, target);
  const isSuspected = target.storageClass !== undefined || target.encryption !== undefined;
  return isSuspected && UNCLEAR_CODES.has(code) ? new UnclearRefusal(failure) : failure;
}

export function settingRefused(setting: Setting, target: Settings): ProbeFailure {
  return new ProbeFailure('not_supported', detailOf(FIELDS_OF_SETTINGS[setting], target[setting]));
}

function reasonOf(answer: Answer, code: string | undefined): Reason {
  const { status } = answer;
  if (code !== undefined && REGION_CODES.has(code) && regionOf(answer) !== undefined) return 'wrong_region';
  if (status >= 300 && status < 400) return 'redirected';
  const known = REASONS_BY_CODE.get(code ?? '');
  if (known !== undefined) return known;
  if (status >= 500 || status === 429) return status === 501 ? 'not_supported' : 'server_error';
  // An unknown code is shown as it is. A 401 or 403 without a code means that the keys or the signature are rejected.
  return code === undefined && (status === 401 || status === 403) ? 'key_rejected' : 'unexpected_answer';
}

function subjectOf(
  reason: Reason,
  answer: Answer,
  code: string | undefined,
  action: string,
  bucket: string,
): string | undefined {
  const shown = code ?? `HTTP ${answer.status}`;
  const subjects: Readonly<Partial<Record<Reason, string | undefined>>> = {
    wrong_region: regionOf(answer),
    no_such_bucket: bucket,
    bucket_taken: bucket,
    invalid_value: 'region',
    access_denied: action,
    clock_skewed: 'some',
    not_supported: action,
    server_error: shown,
    unexpected_answer: shown,
  };
  return subjects[reason];
}
