import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CommandError } from '../../../client/cio/command-error.ts';
import { explain } from '../../../client/cio/messages.ts';
import { ConnectionError, type ConnectionFailure } from '../../../client/connection-error.ts';
import { CredentialError, EXIT, EXIT_OF_ERROR, type ErrorCode } from '../../../src/errors.ts';
import type { Errors } from '../../../src/protocol/interface.generated.ts';

/** One instance of every error; for errors with a reason, one for every reason. */
const ERRORS: { readonly [Code in ErrorCode]: readonly Errors[Code][] } = {
  NotFound: [{ name: 'cio_aws_access_key' }],
  AlreadyExists: [{ name: 'cio_aws_access_key' }],
  InvalidName: [
    { name: 'cio_aws', reason: 'character 8 is none of a-z' },
    { name: '', reason: 'it is empty' },
  ],
  InvalidValue: [{ name: 'cio_aws_backup_repo', reason: 'it has no bucket' }],
  AccessDenied: [{ name: 'x', right: 'read' }, { name: null, right: 'write' }, { right: 'administer' }],
  Incomplete: [
    { set: 'aws', missing: ['secret_key', 'backup_password'] },
    { set: 'offsite', missing: ['provider'] },
  ],
  Conflict: [{ expected: 3, actual: 4 }],
  Locked: [{}],
  UnlockFailed: [{ reason: 'wrong_secret' }, { reason: 'no_slot' }, { reason: 'bad_code' }],
  LastSlot: [{}],
  TooLarge: [{ limit: 1_048_576 }, { limit: 1000 }, { limit: 4_194_304 }],
  StorageFull: [{}],
  StorageFailed: [{ reason: 'read_only' }, { reason: 'changed_by_other' }, { reason: 'io' }],
  Damaged: [{ name: 'x' }, { name: null }, {}],
  BadCopy: (['gone', 'not_whole', 'foreign', 'newer', 'damaged', 'too_large'] as const).map((reason) => ({ reason })),
  Busy: [{}],
  TimedOut: [{}],
  MalformedMessage: [{ reason: 'not_json' }, { reason: 'not_a_call' }],
  InternalError: [{}],
};

const FAILURES: readonly ConnectionFailure[] = [
  'not_found',
  'refused',
  'permission',
  'path_too_long',
  'untrusted',
  'timed_out',
  'closed',
  'bad_reply',
  'rejected',
  'failed',
];

describe('explain()', () => {
  it('has a message, a code and an exit code for every error of the interface', () => {
    for (const [code, all] of Object.entries(ERRORS) as [ErrorCode, readonly Errors[ErrorCode][]][]) {
      for (const fields of all) {
        const explanation = explain(new CredentialError(code, fields));
        assert.equal(explanation.code, code);
        assert.equal(explanation.exit, EXIT_OF_ERROR[code]);
        assert.deepEqual(explanation.fields, fields);
        assertWords(explanation);
      }
    }
  });

  it('has a message for every connection failure', () => {
    for (const reason of FAILURES) {
      const explanation = explain(new ConnectionError(reason, '/run/x'));
      const isReached = reason === 'bad_reply' || reason === 'rejected';
      assert.equal(explanation.exit, isReached ? EXIT.failed : EXIT.notReachable);
      assert.ok(isReached || explanation.message.includes('/run/x') || reason === 'path_too_long');
      assertWords(explanation);
    }
  });

  it('has a hint for every count limit, of a call and of the store', () => {
    for (const limit of [100, 1000, 10_000]) {
      const { hint } = explain(new CredentialError('TooLarge', { limit }));
      assert.match(hint ?? '', /several steps.*remove.*revoke/);
    }
  });

  it('says how to start a daemon that does not run', () => {
    for (const reason of ['not_found', 'refused'] as const) {
      const { hint = '' } = explain(new ConnectionError(reason, '/run/x'));
      assert.match(hint, /systemctl start cio-credentiald\.socket/);
      assert.match(hint, /npm start/);
    }
  });

  it("exits as invalid or denied for what the daemon's Varlink layer rejects", () => {
    const rejected = (detail: string): number => explain(new ConnectionError('rejected', '/s', { detail })).exit;
    assert.equal(rejected('InvalidParameter: grantees[0].unit'), EXIT.invalid);
    assert.equal(rejected('PermissionDenied'), EXIT.accessDenied);
    assert.equal(rejected('MethodNotFound'), EXIT.failed);
  });

  it('names the command that adds a missing field', () => {
    const missing = (set: string, field: string): string | undefined =>
      explain(new CredentialError('Incomplete', { set, missing: [field] })).hint;
    assert.equal(missing('aws', 'secret_key'), 'cio credential create cio_aws_secret_key');
    assert.equal(missing('offsite', 'provider'), 'cio credential create cio_offsite_provider');
  });

  it('shortens a name that may be a misplaced secret', () => {
    const secret = 'hunter2hunter2hunter2';
    for (const error of [
      new CredentialError('NotFound', { name: secret }),
      new CredentialError('AlreadyExists', { name: secret }),
      new CredentialError('InvalidName', { name: secret, reason: 'x' }),
      new CredentialError('InvalidValue', { name: secret, reason: 'x' }),
      new CredentialError('AccessDenied', { name: secret, right: 'read' }),
      new CredentialError('Damaged', { name: secret }),
    ]) {
      assert.ok(!explain(error).message.includes(secret));
    }
    const whole = 'cio_some_long_set_name_backup_password';
    assert.ok(explain(new CredentialError('NotFound', { name: whole })).message.includes(whole));
  });

  it('keeps the exit code, message and hint of a CommandError', () => {
    assert.deepEqual(explain(new CommandError('Usage', 'NAME is missing', 'usage: x')), {
      exit: EXIT.usage,
      code: 'Usage',
      message: 'NAME is missing',
      hint: 'usage: x',
    });
    assert.equal(explain(new CommandError('Interrupted', 'interrupted')).exit, 130);
    assert.equal(explain(new CommandError('CommandNotFound', 'x')).exit, 127);
    assert.equal(explain(new CommandError('CommandNotExecutable', 'x')).exit, 126);
  });

  it('reports where a defect occurred, without the message of the exception', () => {
    for (const defect of [new TypeError('canary is not a function'), 'canary', null, { canary: 1 }]) {
      const { exit, code, message, hint } = explain(defect);
      assert.deepEqual([exit, code], [EXIT.failed, 'Defect']);
      assert.ok(!`${message}${hint}`.includes('canary'));
    }
    assert.match(explain(new TypeError('canary')).message, /messages\.test\.ts/);
  });
});

function assertWords({ message, hint }: { readonly message: string; readonly hint?: string | undefined }): void {
  for (const text of [message, ...(hint === undefined ? [] : [hint])]) {
    assert.doesNotMatch(text, /undefined|null|\[object/);
    assert.doesNotMatch(text, /\.$/);
    assert.match(text, /^[^A-Z]/);
  }
}
