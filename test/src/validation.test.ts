import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { describeFinding, REASONS, fieldLabelInSentence } from '../../src/validation.ts';
import type { Finding, Reason } from '../../src/validation.ts';
import { anyText } from './any-text.ts';

const REASON_IDS = Object.keys(REASONS) as Reason[];

const what = (reason: Reason, field?: string, subject?: string): string =>
  describeFinding({
    reason,
    ...(field === undefined ? {} : { field }),
    ...(subject === undefined ? {} : { subject }),
  }).text;

describe('fieldLabelInSentence()', () => {
  it("returns the field's label as used within a sentence", () => {
    const words = ['secret_key', 'account_key', 'service_account', 'session_token', 'use_iam', 'nothing', undefined];
    assert.deepEqual(words.map(fieldLabelInSentence), [
      'secret key',
      'account key',
      'service account',
      'session token',
      "machine's identity",
      'key',
      'key',
    ]);
  });
});

describe('describeFinding()', () => {
  it("uses the provider's own names for keys", () => {
    assert.equal(what('wrong_secret_key', 'secret_key'), 'the secret key does not belong to the access key');
    assert.match(what('wrong_secret_key', 'account_key'), /^the account key is wrong/);
    assert.match(what('wrong_secret_key', 'service_account'), /^the service account is wrong/);
    assert.equal(what('unknown_access_key', 'service_account'), 'the server does not know the service account');
    assert.equal(what('key_rejected', 'account_key'), 'the server rejects the account key');
    assert.match(what('key_rejected', 'secret_key'), /which of the two/);
    assert.equal(what('key_expired', 'session_token'), 'the session token has expired');
  });

  it('names the part of a repository that is wrong', () => {
    assert.match(what('not_a_repository', undefined, 'config'), /config/);
    assert.match(what('untrusted_parameters', undefined, 'keys/00'), /keys\/00/);
  });

  it('has a text for every reason, whatever the field and the subject', () => {
    const field = fc.option(fc.constantFrom('secret_key', 'use_iam', 'toString', '__proto__', 'x'), { nil: undefined });
    fc.assert(
      fc.property(fc.constantFrom(...REASON_IDS), field, anyText, (reason, field, subject) => {
        const text = what(reason, field, subject);
        assert.ok(!text.includes('{field}') || subject.includes('{field}'));
        if (REASONS[reason].text.includes('%')) assert.ok(text.includes(subject));
      }),
    );
  });

  it('returns the subject if there is no reason', () => {
    const finding: Finding = { check: 'region', state: 'passed', subject: 'eu-1' };
    assert.deepEqual(describeFinding(finding), { text: 'eu-1' });
  });
});
