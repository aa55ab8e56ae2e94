import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CommandError } from '../../../client/cio/command-error.ts';
import { explain } from '../../../client/cio/messages.ts';
import { ConnectionError, type ConnectionFailure } from '../../../client/connection-error.ts';
import { CredentialError, EXIT, EXIT_OF_ERROR, type ErrorCode } from '../../../src/errors.ts';
import { NAME_LENGTH_MAX } from '../../../src/limits.ts';
import type { Errors, Methods } from '../../../src/protocol/interface.generated.ts';
import { ROOT, startCore } from '../../daemon/core.ts';
import type { Scope } from '../../support/scope.ts';

/** One instance of every error; for errors with a reason, one for every reason. */
const ERRORS: { readonly [Code in ErrorCode]: readonly Errors[Code][] } = {
  NotFound: [{ name: 'cio_aws_access_key' }],
  AlreadyExists: [{ name: 'cio_aws_access_key' }],
  InvalidName: [
    { name: 'cio_aws', reason: 'character 8 is not one of a-z' },
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
  UnlockFailed: [
    { reason: 'wrong_secret' },
    { reason: 'no_slot' },
    { reason: 'bad_code' },
    { reason: 'wrong_secret', troubles: null },
    { reason: 'wrong_secret', troubles: ['slot 1 (keyfile): cannot read the key file /x'] },
  ],
  LastSlot: [{}],
  TooLarge: [{ limit: 1_048_576 }, { limit: 1000 }, { limit: 4_194_304 }],
  StorageFull: [{}],
  StorageFailed: [{ reason: 'read_only' }, { reason: 'changed_by_other' }, { reason: 'io' }],
  Damaged: [{ name: 'x' }, { name: null }, {}],
  OutOfMemory: [{ bytes: 2 ** 27 }],
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

/** A call that the daemon refuses. */
type RefusedCall = {
  readonly [Name in keyof Methods]: readonly [method: Name, parameters: Methods[Name]['in']];
}[keyof Methods];

const NAME_HINT = /^a name is a-z, 0-9/;
const UNIT_HINT = /restic\.service/;
const HISTORY_HINT = /^cio credential history/;
const GENERATION_HINT = /^use --generation/;

/** Makes calls that a daemon refuses, and returns its reason for each, with the explanation of the error. */
async function explainRefusals(
  scope: Scope,
  calls: readonly RefusedCall[],
): Promise<{ readonly reason: string; readonly exit: number; readonly message: string; readonly hint: string }[]> {
  const core = await startCore(scope);
  await core.create(ROOT, 'token', 'cio_aws_access_key');
  const explanations = [];
  for (const [method, parameters] of calls) {
    const [code, fields] = await core.refusal(ROOT, method, parameters);
    const { reason = '' } = fields as { readonly reason?: string };
    assert.notEqual(reason, '');
    const { exit, message, hint = '' } = explain(new CredentialError(code as ErrorCode, fields));
    explanations.push({ reason, exit, message, hint });
  }
  return explanations;
}

describe('explain(), given a refusal by the daemon', () => {
  it('explains the syntax of names if a name is refused', async (t) => {
    const names = ['', 'É', 'a b', 'a'.repeat(NAME_LENGTH_MAX + 1), '0191e1f0-7c3a-7000-8000-00000000000a'];
    const calls = names.map((name): RefusedCall => ['Create', { credentials: [{ name, value: 'v' }] }]);
    const explanations = await explainRefusals(t, calls);
    assert.equal(explanations.length, names.length);
    for (const [index, { reason, exit, message, hint }] of explanations.entries()) {
      const start = index < 2 ? 'the name is not valid: ' : 'the name that begins with ';
      assert.ok(message.startsWith(start) && message.endsWith(`is not valid: ${reason}`), message);
      assert.equal(exit, EXIT.invalid);
      assert.match(hint, NAME_HINT, message);
    }
  });

  it('gives examples of unit names if a unit is refused', async (t) => {
    const calls: RefusedCall[] = [
      ['Grant', { target: 'token', grantees: [{ unit: 'no unit' }] }],
      ['Revoke', { target: 'token', grantees: [{ unit: 'restic' }] }],
    ];
    for (const { reason, exit, message, hint } of await explainRefusals(t, calls)) {
      assert.deepEqual([exit, message], [EXIT.invalid, reason]);
      assert.match(hint, UNIT_HINT, message);
    }
  });

  it('gives the reason alone if the daemon refuses something other than a name or unit', async (t) => {
    const calls: RefusedCall[] = [
      ['Grant', { target: 'token', grantees: [] }],
      ['Grant', { target: 'token', grantees: [{}] }],
      ['Grant', { target: 'token', grantees: [{ uid: 1, gid: 1 }] }],
      ['Grant', { target: 'token', grantees: [{ uid: -1 }] }],
      ['Grant', { target: 'token', grantees: [{ uid: 1, missing: 'block' }] }],
      ['List', { patterns: ['a'.repeat(NAME_LENGTH_MAX + 1)] }],
      ['Create', { credentials: [] }],
      ['Remove', { names: [] }],
    ];
    for (const { reason, exit, message, hint } of await explainRefusals(t, calls)) {
      assert.deepEqual([exit, message, hint], [EXIT.invalid, reason, '']);
    }
  });

  it('gives the name and the reason if the daemon refuses a name for something other than its syntax', async (t) => {
    const twice = { name: 'token', value: 'v' };
    const field = { name: 'cio_aws_region', value: 'v' };
    const calls: RefusedCall[] = [
      ['Create', { credentials: [twice, twice] }],
      ['Prove', { credentials: [{ name: 'token', value: 'v' }] }],
      ['Prove', { credentials: [field, { name: 'cio_minio_region', value: 'v' }] }],
    ];
    const explanations = await explainRefusals(t, calls);
    assert.deepEqual(
      explanations.map(({ message, hint }) => [message, hint]),
      [
        ['token: it is given twice in one call', ''],
        ['token: it is not a field of a set', ''],
        ['cio_minio_region: it is of another set than the first', ''],
      ],
    );
  });

  it('says how to roll a set back if it is given a version', async (t) => {
    const calls: RefusedCall[] = [['Rollback', { target: 'aws', version: 1 }]];
    const [explanation] = await explainRefusals(t, calls);
    assert.ok(explanation);
    assert.deepEqual([explanation.exit, explanation.message], [EXIT.usage, `aws: ${explanation.reason}`]);
    assert.match(explanation.hint, GENERATION_HINT);
  });

  it('reports a version that is not kept as not found, and refers to the history', async (t) => {
    const calls: RefusedCall[] = [
      ['Rollback', { target: 'token' }],
      ['Rollback', { target: 'token', version: 9 }],
      ['Rollback', { target: 'token', generation: 0 }],
      ['Rollback', { target: 'aws', generation: 0 }],
    ];
    for (const { reason, exit, message, hint } of await explainRefusals(t, calls)) {
      assert.equal(exit, EXIT.notFound, message);
      assert.ok(message.endsWith(`: ${reason}`) && !message.includes('is not valid'), message);
      assert.match(hint, HISTORY_HINT, message);
    }
  });

  it('reports any other refused value as invalid', async (t) => {
    const calls: RefusedCall[] = [
      ['Create', { credentials: [{ name: 'x', value: '' }] }],
      ['Create', { credentials: [{ name: 'x' }] }],
      ['Create', { credentials: [{ name: 'x', data: '?' }] }],
      ['Create', { credentials: [{ name: 'cio_aws_backup_repo', value: 'https://example.org' }] }],
      ['Generate', { name: 'x', length: 1 }],
    ];
    for (const { reason, exit, message, hint } of await explainRefusals(t, calls)) {
      assert.deepEqual([exit, hint], [EXIT.invalid, '']);
      assert.match(message, /^the value of \S+ is not valid: /);
      assert.ok(message.endsWith(reason), message);
    }
  });
});

function assertWords({ message, hint }: { readonly message: string; readonly hint?: string | undefined }): void {
  for (const text of [message, ...(hint === undefined ? [] : [hint])]) {
    assert.doesNotMatch(text, /undefined|null|\[object/);
    assert.doesNotMatch(text, /\.$/);
    assert.match(text, /^[^A-Z]/);
  }
}
