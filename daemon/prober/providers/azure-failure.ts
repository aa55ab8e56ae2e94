import type { Reason } from '../../../src/validation.ts';
import { detailOf, ProbeFailure } from '../failure.ts';
import type { Answer } from '../network/wire.ts';
import type { AzureTarget } from './azure-target.ts';

/** Reasons by the error codes of Azure ("Status and error codes" of its REST API) and of Azurite. */
const REASONS_BY_CODE: ReadonlyMap<string, Reason> = new Map([
  ['AuthenticationFailed', 'wrong_secret_key'],
  // Azure: the account's firewall does not admit the client's address. Azurite: the key is wrong.
  ['AuthorizationFailure', 'key_rejected'],
  ['InvalidAuthenticationInfo', 'key_rejected'],
  ['KeyBasedAuthenticationNotPermitted', 'key_rejected'],
  ['NoAuthenticationInformation', 'key_rejected'],
  ['AccountIsDisabled', 'user_suspended'],
  ['AuthorizationPermissionMismatch', 'access_denied'],
  ['AuthorizationResourceTypeMismatch', 'access_denied'],
  ['AuthorizationServiceMismatch', 'access_denied'],
  ['InsufficientAccountPermissions', 'access_denied'],
  // A policy protects blobs from deletion for some time.
  ['BlobImmutableDueToPolicy', 'access_denied'],
  ['ContainerNotFound', 'no_such_bucket'],
  ['ContainerBeingDeleted', 'no_such_bucket'],
  ['ContainerDisabled', 'no_such_bucket'],
  ['ResourceNotFound', 'no_such_account'],
  ['InternalError', 'server_error'],
  ['OperationTimedOut', 'server_error'],
  ['ServerBusy', 'server_error'],
]);

/** The field that has to be corrected. */
const FIELDS: Readonly<Partial<Record<Reason, string>>> = {
  wrong_secret_key: 'account_key',
  key_rejected: 'account_key',
  no_such_account: 'account_name',
  no_such_bucket: 'backup_repo',
  redirected: 'backup_repo',
};

const CODE = /^[A-Za-z0-9]{1,64}$/;

/** Returns the code of an error. The header has the same code as the body, and is there without a body too. */
export function azureCodeOf({ headers, body }: Answer): string | undefined {
  const told = headers['x-ms-error-code'] ?? /<Code>([^<]{1,64})<\/Code>/.exec(body.toString('latin1'))?.[1] ?? '';
  return CODE.test(told) ? told : undefined;
}

/** Maps the answer to a refused request to a failure, by its status and code alone. */
export function azureFailureOf(
  answer: Answer,
  action: string,
  { container, account }: Pick<AzureTarget, 'container' | 'account'>,
): ProbeFailure {
  const code = azureCodeOf(answer);
  const reason = reasonOf(answer.status, code);
  const shown = code ?? `HTTP ${answer.status}`;
  const subjects: Readonly<Partial<Record<Reason, string | undefined>>> = {
    no_such_account: account,
    no_such_bucket: container,
    access_denied: action,
    not_supported: action,
    server_error: shown,
    unexpected_answer: shown,
  };
  return new ProbeFailure(reason, detailOf(FIELDS[reason], subjects[reason]));
}

function reasonOf(status: number, code: string | undefined): Reason {
  if (status >= 300 && status < 400) return 'redirected';
  const known = REASONS_BY_CODE.get(code ?? '');
  if (known !== undefined) return known;
  if (status >= 500 || status === 429) return status === 501 ? 'not_supported' : 'server_error';
  return code === undefined && (status === 401 || status === 403) ? 'key_rejected' : 'unexpected_answer';
}
