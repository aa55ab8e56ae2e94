import { fieldOf } from './providers/registry.ts';

/**
 * The checks of a validation, in the order in which they are made. After a check has failed, the later checks that
 * depend on it are skipped.
 */
export const CHECKS = [
  /** The values by themselves, without any server: their form, and common mistakes. */
  'shape',
  /** The server's host name resolves to an address. */
  'resolve',
  'connect',
  'tls',
  /** The host's clock is close enough to the server's for signatures. */
  'clock',
  /** The server accepts the keys. */
  'key',
  'region',
  /** The bucket (Azure's container) exists. */
  'bucket',
  'list',
  'write',
  'read_back',
  'delete',
  /** There is a restic repository in the bucket. */
  'repository',
  /** The password decrypts one of the repository's keys. */
  'password',
] as const;

export type CheckId = (typeof CHECKS)[number];

/** The results of a check. `skipped` means that it was not made, for the given reason; it never counts as passed. */
export const CHECK_STATES = ['passed', 'warning', 'failed', 'skipped'] as const;

export type CheckState = (typeof CHECK_STATES)[number];

/** What one check found. Its text is derived from the reason when it is shown; no text from a server is passed on. */
export interface Finding {
  readonly check: CheckId;
  readonly state: CheckState;
  /** Undefined if the check passed and there is nothing to add. */
  readonly reason?: Reason;
  /** The field of the set that is wrong, or that has to be set to solve the problem. */
  readonly field?: string;
  /**
   * A detail for the reason's text: a host, a region, the name of an object, a number. Printable ASCII, at most
   * `SUBJECT_LENGTH_MAX` characters.
   */
  readonly subject?: string;
  /** Duration of the check, in milliseconds. */
  readonly ms?: number;
}

/** Why a check did not simply pass. */
export type Reason =
  | 'missing_field'
  | 'unknown_provider'
  | 'invalid_value'
  | 'not_text'
  | 'keys_swapped'
  | 'secret_in_access_key'
  | 'surrounding_space'
  | 'byte_order_mark'
  | 'repository_without_bucket'
  | 'repository_virtual_host'
  | 'repository_bucket_as_host'
  | 'plain_http'
  | 'same_as_primary'
  | 'password_is_secret_key'
  | 'differs_from_repository'
  | 'name_not_found'
  | 'name_server_failed'
  | 'address_refused'
  | 'connection_refused'
  | 'unreachable'
  | 'timed_out'
  | 'connection_lost'
  | 'by_proxy'
  | 'proxy_refused'
  | 'certificate_not_trusted'
  | 'certificate_wrong_host'
  | 'certificate_expired'
  | 'not_tls'
  | 'tls_failed'
  | 'certificate_not_verified'
  | 'clock_skewed'
  | 'clock_not_told'
  | 'unknown_access_key'
  | 'wrong_secret_key'
  | 'key_rejected'
  | 'key_expired'
  | 'user_suspended'
  | 'identity_missing'
  | 'identity_not_told'
  | 'identity_elsewhere'
  | 'identity_not_shared'
  | 'wrong_region'
  | 'no_such_bucket'
  | 'bucket_made'
  | 'bucket_taken'
  | 'leftover_bucket'
  | 'no_such_account'
  | 'access_denied'
  | 'redirected'
  | 'leftover_object'
  | 'other_bytes'
  | 'no_repository'
  | 'not_a_repository'
  | 'no_keys'
  | 'wrong_password'
  | 'password_surrounded'
  | 'too_many_keys'
  | 'former_layout'
  | 'untrusted_parameters'
  | 'server_error'
  | 'unexpected_answer'
  | 'answer_too_large'
  | 'not_needed'
  | 'restore_only'
  | 'earlier_failure'
  | 'cancelled'
  | 'prober_failed'
  | 'prober_missing'
  | 'not_supported';

/** The texts shown to users: what was found, and what to do about it. */
interface ReasonText {
  /** `%` is replaced by the subject, `{field}` by the label of the field. */
  readonly text: string;
  /** Texts that replace `text`, by the id of the field that is wrong. */
  readonly byField?: Readonly<Record<string, string>>;
  readonly hint?: string;
}

export const REASONS: Readonly<Record<Reason, ReasonText>> = {
  // shape
  missing_field: { text: 'the field % is missing', hint: 'store it with: cio credential create' },
  unknown_provider: { text: 'its provider is not known', hint: 'store one in the field provider' },
  invalid_value: { text: 'the value is not valid for %' },
  not_text: { text: 'the value is not text' },
  keys_swapped: { text: 'access key and secret key look swapped', hint: 'store each under the name of the other' },
  secret_in_access_key: {
    text: 'a secret key stands in the access key',
    hint: 'store the access key, and make a new secret: this one was shown in lists',
  },
  surrounding_space: {
    text: 'it begins or ends with white space, which restic removes when it reads it from a file or a command',
    hint: 'store it without',
  },
  byte_order_mark: {
    text: 'it begins with a byte order mark, which restic removes when it reads it from a file',
    hint: 'store it without',
  },
  repository_without_bucket: {
    text: 'the repository names no bucket',
    hint: 'it should look like s3:https://HOST/BUCKET',
  },
  repository_virtual_host: {
    text: 'the bucket stands in the host name; restic reads the first part of the path as the bucket',
    hint: 'write s3:https://HOST/BUCKET',
  },
  repository_bucket_as_host: {
    text: 'it has the form for the AWS tools; restic reads the bucket in it as the host',
    hint: 'write s3:https://HOST/BUCKET',
  },
  plain_http: { text: 'keys and data would cross the network to % unencrypted', hint: 'use https' },
  same_as_primary: {
    text: 'it is the same repository as the one of set %',
    hint: 'an alternate set is for another place',
  },
  password_is_secret_key: {
    text: 'the repository password is the same as the %',
    hint: 'whoever learns one opens both; change the password',
  },
  differs_from_repository: {
    text: 'the field % contradicts the repository, which is what restic uses',
    hint: 'correct one of the two, or delete the field',
  },
  // resolve, connect, tls, clock
  name_not_found: { text: 'the name % has no address', hint: 'look for a mistyped host, or ask another name server' },
  name_server_failed: {
    text: 'the name % could not be looked up now',
    hint: 'see whether this host has a name server',
  },
  address_refused: {
    text: 'the address % is link-local or a metadata service',
    hint: 'such an address is used only for a shared set that says allow_link_local',
  },
  connection_refused: { text: 'nothing listens at %' },
  unreachable: { text: 'there is no network route to %' },
  timed_out: { text: 'there was no answer in time' },
  connection_lost: { text: 'the connection broke' },
  by_proxy: { text: 'through the proxy %' },
  proxy_refused: { text: 'the proxy refuses to connect (%)', hint: 'see its rules, and its log' },
  certificate_not_trusted: {
    text: 'the certificate is not signed by an authority that this host trusts',
    hint: 'store the authority in the field endpoint_ca',
  },
  certificate_wrong_host: { text: 'the certificate is for another name than %' },
  certificate_expired: {
    text: 'the certificate is not valid today',
    hint: 'see the clock of this host, and the certificate',
  },
  not_tls: { text: 'the server does not speak TLS there', hint: 'use http:// or another port' },
  tls_failed: { text: 'the TLS handshake failed', hint: 'see whether the server speaks TLS 1.2 or 1.3' },
  certificate_not_verified: { text: 'the certificate is not verified, as the set says (skip_verify)' },
  clock_skewed: { text: "this host's clock is % seconds off the server's", hint: 'set it: timedatectl set-ntp true' },
  clock_not_told: { text: 'the server does not tell the time' },
  // key … delete
  unknown_access_key: { text: 'the server does not know the {field}' },
  wrong_secret_key: {
    text: 'the {field} is wrong: the server does not accept what it signs',
    byField: { secret_key: 'the secret key does not belong to the access key' },
  },
  key_rejected: {
    text: 'the server rejects the {field}',
    byField: { secret_key: 'the server rejects the keys, and does not say which of the two is wrong' },
  },
  key_expired: { text: 'the {field} has expired' },
  user_suspended: { text: 'the user of the {field} is suspended' },
  identity_missing: {
    text: 'the machine has no identity: its cloud has given it none',
    hint: 'give the machine a role or an account of its own, or store keys and delete use_iam',
  },
  identity_not_told: {
    text: "the machine's identity cannot be read (%)",
    hint: 'see whether this machine is in that cloud, and its metadata service is switched on',
  },
  identity_elsewhere: {
    text: "the machine's identity is for its own cloud alone, and so % cannot be used with it",
    hint: 'delete it, or store keys and delete use_iam',
  },
  identity_not_shared: {
    text: "the machine's identity is not used to try a set that is one user's own",
    hint: 'have an administrator keep it among the shared credentials, or store keys and delete use_iam',
  },
  wrong_region: { text: 'the bucket is in region %', hint: 'store it in the field region' },
  no_such_bucket: { text: 'there is no bucket %', hint: 'make it, or correct the name' },
  bucket_made: { text: 'there was no bucket %, and it was made' },
  bucket_taken: { text: 'there is a bucket % already, and it is not yours', hint: 'take another name' },
  leftover_bucket: { text: 'the bucket % was made, and could not be removed again', hint: 'delete it' },
  no_such_account: { text: 'there is no account %' },
  access_denied: {
    text: 'the keys have no right to %',
    byField: { use_iam: "the machine's identity has no right to %" },
    hint: 'see the policy of their user',
  },
  redirected: { text: 'the server redirects to another one, to which no keys are sent' },
  leftover_object: { text: 'the probe object % could not be removed', hint: 'delete it' },
  other_bytes: { text: 'what was read is not what had been written' },
  // repository, password
  no_repository: { text: 'there is no repository yet', hint: 'make it with: cio credential exec SET -- restic init' },
  not_a_repository: { text: 'what is there is not a repository that restic would open: see %' },
  no_keys: { text: 'the repository has no keys' },
  wrong_password: { text: 'the password opens none of the keys of the repository' },
  password_surrounded: {
    text: 'the password opens the repository only without the white space, or the byte order mark, that is stored around it',
    hint: 'store it without: cio credential create --replace',
  },
  too_many_keys: {
    text: 'the password opens none of the first % keys of the repository, and restic tries no more',
    hint: 'remove keys that nobody uses: restic key remove',
  },
  former_layout: {
    text: 'the password opens the repository, but its layout is that of restic before 0.7, which restic refuses since 0.17',
    hint: 'move it with restic 0.16: restic migrate s3_layout',
  },
  untrusted_parameters: { text: 'a key of the repository requires more work or memory than allowed: %' },
  // any
  server_error: { text: 'the server failed (%)', hint: 'try again later' },
  unexpected_answer: { text: 'the answer of the server is not understood (%)' },
  answer_too_large: { text: 'the answer of the server is too large' },
  not_needed: { text: 'it is not needed here' },
  restore_only: { text: 'not tried: --restore-only needs no such right' },
  earlier_failure: { text: 'not tried, because % failed' },
  cancelled: { text: 'not tried: it was cancelled' },
  prober_failed: { text: 'the prober failed', hint: 'see its journal: journalctl -u "cio-credential-prober@*"' },
  prober_missing: { text: 'the prober is not there', hint: 'systemctl start cio-credential-prober.socket' },
  not_supported: { text: '% is not supported' },
};

/** Tells whether any check failed. If none did, checks may still have been skipped. */
export function hasFailed(findings: readonly Finding[]): boolean {
  return findings.some(({ state }) => state === 'failed');
}

/** Returns the text for a finding, and a hint on what to do if there is one. */
export function describeFinding(finding: Pick<Finding, 'reason' | 'field' | 'subject'>): {
  readonly text: string;
  readonly hint?: string;
} {
  const { reason, field, subject = '' } = finding;
  if (reason === undefined) return { text: subject };
  const { text, byField = {}, hint } = REASONS[reason];
  const template = (field !== undefined && Object.hasOwn(byField, field) ? byField[field] : undefined) ?? text;
  // Replace by functions, because `replace` would interpret patterns such as `$&` in an inserted text.
  const filled = template.replace('{field}', () => fieldLabelInSentence(field)).replace('%', () => subject);
  return { text: filled, ...(hint === undefined ? {} : { hint }) };
}

/** Returns what a field is called within a sentence. */
export function fieldLabelInSentence(field: string | undefined): string {
  if (field === 'use_iam') return "machine's identity";
  const { label } = (field === undefined ? undefined : fieldOf(field, undefined)) ?? { label: 'key' };
  const [word = label] = label.split(' (');
  return word.toLowerCase();
}

/** One job of the prober: the validation of one set. */
export interface ProbeJob {
  readonly set: string;
  /** Id of a provider. */
  readonly provider: string;
  /** The values by field id. A set with a value that is not text is never probed. */
  readonly values: Readonly<Record<string, string>>;
  /** Whether to skip the checks that write and delete. */
  readonly restoreOnly: boolean;
  /** Whether to create a missing bucket, and to remove it again if a later check fails. */
  readonly makeBucket: boolean;
}
