import type { Reason } from '../../../src/validation.ts';
import { detailOf, ProbeFailure } from '../failure.ts';
import { asObject, parseObject } from '../json.ts';
import type { Answer } from '../network/wire.ts';

/** What was requested, which a finding names if it was refused. */
export interface RequestedAction {
  readonly action: string;
  readonly bucket: string;
}

/** Reasons by the error codes of the token server: OAuth's (RFC 6749, section 5.2) and Google's own. */
const REASONS_BY_GRANT_ERROR: ReadonlyMap<string, Reason> = new Map([
  ['invalid_grant', 'key_rejected'],
  ['invalid_client', 'unknown_access_key'],
  ['unauthorized_client', 'key_rejected'],
  ['disabled_client', 'user_suspended'],
  ['access_denied', 'key_rejected'],
  ['temporarily_unavailable', 'server_error'],
  ['internal_failure', 'server_error'],
]);

/** `invalid_grant` covers many cases. Google's texts tell them apart, and have been the same for years. */
const REASONS_BY_GRANT_TEXT: readonly (readonly [text: RegExp, reason: Reason])[] = [
  [/account not found/i, 'unknown_access_key'],
  [/signature/i, 'wrong_secret_key'],
  [/timeframe|\biat\b/i, 'clock_skewed'],
  [/disabled/i, 'user_suspended'],
];

/** Reasons by the `reason` of an error of Google Cloud Storage's JSON API, where the status does not tell. */
const REASONS_BY_STORAGE_ERROR: ReadonlyMap<string, Reason> = new Map([
  ['accountDisabled', 'user_suspended'],
  ['userProjectAccountProblem', 'user_suspended'],
  ['accessNotConfigured', 'access_denied'],
  ['rateLimitExceeded', 'server_error'],
  ['userRateLimitExceeded', 'server_error'],
  // A policy or a hold protects objects from deletion for some time.
  ['retentionPolicyNotMet', 'access_denied'],
  ['objectUnderActiveHold', 'access_denied'],
]);

/** The field that has to be corrected. */
const FIELDS: Readonly<Partial<Record<Reason, string>>> = {
  unknown_access_key: 'service_account',
  wrong_secret_key: 'service_account',
  key_rejected: 'service_account',
  user_suspended: 'service_account',
  no_such_bucket: 'backup_repo',
  redirected: 'backup_repo',
};

/**
 * Maps the answer to a refused request to a failure, by its status and code and, for `invalid_grant`, its text.
 *
 * @param requested undefined for the request for a token
 */
export function googleFailureOf(answer: Answer, requested?: RequestedAction): ProbeFailure {
  const { error, error_description: text } = parseObject(answer.body) ?? {};
  const code = codeOf(error);
  const reason =
    requested === undefined ? grantReasonOf(answer.status, code, text) : storageReasonOf(answer.status, code);
  const shown = code ?? `HTTP ${answer.status}`;
  const subjects: Readonly<Partial<Record<Reason, string | undefined>>> = {
    no_such_bucket: requested?.bucket,
    access_denied: requested?.action,
    not_supported: requested?.action ?? shown,
    server_error: shown,
    unexpected_answer: shown,
  };
  // The service account names its token server.
  const field = requested === undefined && reason === 'redirected' ? 'service_account' : FIELDS[reason];
  return new ProbeFailure(reason, detailOf(field, subjects[reason]));
}

/**
 * In an answer of the token server, `error` is a code; in one of the API, an object with a list of errors with codes.
 */
function codeOf(error: unknown): string | undefined {
  const errors = asObject(error)?.['errors'];
  const code = Array.isArray(errors) ? asObject(errors[0])?.['reason'] : error;
  return typeof code === 'string' && /^[A-Za-z_]{1,64}$/.test(code) ? code : undefined;
}

function grantReasonOf(status: number, code: string | undefined, text: unknown): Reason {
  if (status >= 300 && status < 400) return 'redirected';
  const told = typeof text === 'string' ? REASONS_BY_GRANT_TEXT.find(([pattern]) => pattern.test(text)) : undefined;
  if (code === 'invalid_grant' && told !== undefined) return told[1];
  return REASONS_BY_GRANT_ERROR.get(code ?? '') ?? otherReasonOf(status);
}

function storageReasonOf(status: number, code: string | undefined): Reason {
  if (status >= 300 && status < 400) return 'redirected';
  const known = REASONS_BY_STORAGE_ERROR.get(code ?? '');
  if (known !== undefined) return known;
  // This is the bucket: a missing object is not treated as a failure.
  if (status === 404 && code === 'notFound') return 'no_such_bucket';
  if (status === 403 && code === 'forbidden') return 'access_denied';
  return otherReasonOf(status);
}

function otherReasonOf(status: number): Reason {
  if (status === 401 || status === 403) return 'key_rejected';
  if (status === 501) return 'not_supported';
  return status >= 500 || status === 429 ? 'server_error' : 'unexpected_answer';
}
