import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';

import type { ProbeFailure } from '../../../../daemon/prober/failure.ts';
import type { Answer } from '../../../../daemon/prober/network/wire.ts';
import { azureFailureOf } from '../../../../daemon/prober/providers/azure-failure.ts';
import { readAzureTarget } from '../../../../daemon/prober/providers/azure-target.ts';
import { googleFailureOf } from '../../../../daemon/prober/providers/google-failure.ts';
import { REASONS } from '../../../../src/validation.ts';
import { anyText } from '../../../src/any-text.ts';

const TARGET = readAzureTarget(
  {
    set: 'azure',
    provider: 'azure',
    restoreOnly: false,
    makeBucket: false,
    values: { backup_repo: 'azure:backup:/', account_name: 'account', account_key: 'a2V5' },
  },
  {},
);

const azure = (answer: Answer): ProbeFailure => azureFailureOf(answer, 'read', TARGET);
const storage = (answer: Answer): ProbeFailure => googleFailureOf(answer, { action: 'read', bucket: 'backup' });
const tokens = (answer: Answer): ProbeFailure => googleFailureOf(answer);

function answerOf(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers, body: Buffer.from(body) };
}

/** Returns the failure that an answer is mapped to, as `reason field subject`. */
function told({ reason, detail }: ProbeFailure): string {
  return [reason, detail.field ?? '-', detail.subject ?? '-'].join(' ');
}

describe('azureFailureOf()', () => {
  const cases: readonly (readonly [status: number, code: string, expected: string])[] = [
    [403, 'AuthenticationFailed', 'wrong_secret_key account_key -'],
    [403, 'AuthorizationFailure', 'key_rejected account_key -'],
    [400, 'InvalidAuthenticationInfo', 'key_rejected account_key -'],
    [409, 'KeyBasedAuthenticationNotPermitted', 'key_rejected account_key -'],
    [409, 'NoAuthenticationInformation', 'key_rejected account_key -'],
    [403, 'AccountIsDisabled', 'user_suspended - -'],
    [403, 'AuthorizationPermissionMismatch', 'access_denied - read'],
    [403, 'AuthorizationResourceTypeMismatch', 'access_denied - read'],
    [403, 'AuthorizationServiceMismatch', 'access_denied - read'],
    [403, 'InsufficientAccountPermissions', 'access_denied - read'],
    [409, 'BlobImmutableDueToPolicy', 'access_denied - read'],
    [404, 'ContainerNotFound', 'no_such_bucket backup_repo backup'],
    [409, 'ContainerBeingDeleted', 'no_such_bucket backup_repo backup'],
    [403, 'ContainerDisabled', 'no_such_bucket backup_repo backup'],
    [404, 'ResourceNotFound', 'no_such_account account_name account'],
    [500, 'OperationTimedOut', 'server_error - OperationTimedOut'],
    [400, 'InternalError', 'server_error - InternalError'],
    [400, 'ServerBusy', 'server_error - ServerBusy'],
    [429, '', 'server_error - HTTP 429'],
    [401, '', 'key_rejected account_key -'],
    [403, 'SomethingElse', 'unexpected_answer - SomethingElse'],
    [400, 'InvalidUri', 'unexpected_answer - InvalidUri'],
    [500, '', 'server_error - HTTP 500'],
    [503, '', 'server_error - HTTP 503'],
    [501, '', 'not_supported - read'],
    [403, '', 'key_rejected account_key -'],
    [403, 'Text with <b>spaces</b>', 'key_rejected account_key -'],
    [302, 'AuthenticationFailed', 'redirected backup_repo -'],
  ];
  for (const [status, code, expected] of cases) {
    it(`maps ${status} '${code}' to ${expected}, in a header or a body`, () => {
      assert.equal(told(azure(answerOf(status, '', { 'x-ms-error-code': code }))), expected);
      assert.equal(told(azure(answerOf(status, `<Error><Code>${code}</Code></Error>`))), expected);
    });
  }
});

describe('googleFailureOf()', () => {
  const grants: readonly (readonly [status: number, body: object | string, expected: string])[] = [
    [
      400,
      { error: 'invalid_grant', error_description: 'Invalid JWT Signature.' },
      'wrong_secret_key service_account -',
    ],
    [
      400,
      { error: 'invalid_grant', error_description: 'Invalid grant: account not found' },
      'unknown_access_key service_account -',
    ],
    [400, { error: 'invalid_grant', error_description: 'Check your iat and exp values' }, 'clock_skewed - -'],
    [
      400,
      { error: 'invalid_grant', error_description: 'Token must be within a reasonable timeframe' },
      'clock_skewed - -',
    ],
    [
      400,
      { error: 'invalid_grant', error_description: 'The account has been disabled' },
      'user_suspended service_account -',
    ],
    [400, { error: 'unauthorized_client' }, 'key_rejected service_account -'],
    [400, { error: 'access_denied' }, 'key_rejected service_account -'],
    [400, { error: 'temporarily_unavailable' }, 'server_error - temporarily_unavailable'],
    [400, { error: 'internal_failure' }, 'server_error - internal_failure'],
    [400, { error: 'invalid_grant', error_description: 17 }, 'key_rejected service_account -'],
    [401, { error: 'invalid_client', error_description: 'signature' }, 'unknown_access_key service_account -'],
    [403, { error: 'disabled_client' }, 'user_suspended service_account -'],
    [500, '<html>', 'server_error - HTTP 500'],
    [429, '<html>', 'server_error - HTTP 429'],
    [401, '<html>', 'key_rejected service_account -'],
    [404, '<html>', 'unexpected_answer - HTTP 404'],
    [307, { error: 'invalid_grant' }, 'redirected service_account -'],
    [501, '<html>', 'not_supported - HTTP 501'],
  ];
  for (const [status, body, expected] of grants) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    it(`maps the token server's ${status} ${text} to ${expected}`, () =>
      assert.equal(told(tokens(answerOf(status, text))), expected));
  }

  const refusals: readonly (readonly [status: number, reason: string, expected: string])[] = [
    [403, 'forbidden', 'access_denied - read'],
    [403, 'retentionPolicyNotMet', 'access_denied - read'],
    [403, 'userRateLimitExceeded', 'server_error - userRateLimitExceeded'],
    [403, 'accountDisabled', 'user_suspended service_account -'],
    [403, 'userProjectAccountProblem', 'user_suspended service_account -'],
    [403, 'accessNotConfigured', 'access_denied - read'],
    [403, 'rateLimitExceeded', 'server_error - rateLimitExceeded'],
    [403, 'objectUnderActiveHold', 'access_denied - read'],
    [400, 'forbidden', 'unexpected_answer - forbidden'],
    [403, 'other', 'key_rejected service_account -'],
    [400, 'notFound', 'unexpected_answer - notFound'],
    [501, 'other', 'not_supported - read'],
    [302, 'forbidden', 'redirected backup_repo -'],
    [404, 'notFound', 'no_such_bucket backup_repo backup'],
    [404, 'other', 'unexpected_answer - other'],
    [401, 'authError', 'key_rejected service_account -'],
  ];
  for (const [status, reason, expected] of refusals) {
    it(`maps the storage's ${status} ${reason} to ${expected}`, () => {
      const body = JSON.stringify({ error: { code: status, errors: [{ reason, message: 'text' }] } });
      assert.equal(told(storage(answerOf(status, body))), expected);
    });
  }
});

describe('all mappings', () => {
  it('return a known reason for any answer, and pass no text of the server on', () => {
    const canary = 'canary of the server';
    const value = fc.oneof(fc.constant(canary), fc.jsonValue());
    const json = fc
      .dictionary(fc.constantFrom('error', 'errors', 'error_description', 'reason', 'message'), value)
      .map((inner) => JSON.stringify({ ...inner, error: { errors: [inner, canary], ...inner } }));
    const xml = anyText.map((text) => `<Error><Code>${text} ${canary}</Code></Error>`);
    const headers = fc.record(
      { 'x-ms-error-code': fc.constantFrom(canary, '', 'x'.repeat(100)) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.constantFrom(azure, storage, tokens),
        fc.integer({ min: 300, max: 599 }),
        fc.oneof(anyText, json, xml),
        headers,
        (map, status, body, headers) => {
          const { reason, detail } = map(answerOf(status, body, headers));
          assert.ok(Object.hasOwn(REASONS, reason));
          assert.match(detail.subject ?? '', /^[\w ]{0,64}$/);
          assert.ok(!(detail.subject ?? '').includes(canary));
        },
      ),
    );
  });
});
