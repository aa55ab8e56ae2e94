import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  formatFindings,
  formatMistake,
  formatNotTried,
  formatResult,
  formatTitle,
  formatTrying,
} from '../../../client/cio/validation-report.ts';
import { withLocale } from './with-locale.ts';
import type { Finding } from '../../../src/protocol/interface.generated.ts';

const passed: Finding = { check: 'resolve', state: 'passed', ms: 9 };
const warned: Finding = { check: 'tls', state: 'warning', reason: 'certificate_not_verified' };
const failed: Finding = {
  check: 'key',
  state: 'failed',
  reason: 'wrong_secret_key',
  field: 'secret_key',
  name: 'cio_aws_secret_key',
};
const consequences: Finding[] = (['bucket', 'list'] as const).map((check) => ({
  check,
  state: 'skipped',
  reason: 'earlier_failure',
  subject: 'key',
}));
const notMeant: Finding = { check: 'write', state: 'skipped', reason: 'restore_only' };

describe('formatFindings() in a locale with ASCII only', () => {
  it('uses marks and arrows of ASCII', (t) => {
    withLocale(t, 'C');
    assert.match(formatFindings('aws', [passed, failed, notMeant], false), /^[ -~\n]+$/);
    assert.match(formatFindings('aws', [passed, failed, notMeant], false), /^ {2}\+ name .*\n {2}x keys /);
  });
});

describe('formatFindings(), formatResult() and formatTrying() for checks that only a newer daemon has', () => {
  it('show the names that the newer daemon gives them, made printable', () => {
    for (const [check, title] of [
      ['object_lock', 'object lock'],
      ['constructor', 'constructor'],
      ['\u001b[2J', '\\u{1b}[2J'],
    ] as const) {
      const finding: Finding = { check, state: 'failed', reason: 'too_short' };
      const [line] = formatFindings('aws', [finding], false).split('\n');
      assert.equal(line?.replaceAll(/ +/g, ' '), ` ✖ ${title} too_short`);
      assert.equal(formatResult('aws', [finding]), `aws: ${title}: too_short`);
      assert.equal(formatTrying([finding]), 'Trying: values');
    }
  });
});

describe('formatFindings()', () => {
  it('names the set in the suggested command', () => {
    const absent = { check: 'repository', state: 'warning', reason: 'no_repository' } as const;
    assert.match(formatFindings('s3_$&', [absent], false), /: cio credential exec s3_\$& -- restic init\n$/);
    assert.match(formatMistake('s3_$&', absent), /: cio credential exec s3_\$& -- restic init$/);
    assert.match(formatResult('aws', [{ ...absent, state: 'failed' }]), /: cio credential exec aws -- restic init$/);
  });

  it('prints a line for each finding, with its mark and the credential at fault', () => {
    assert.equal(
      formatFindings('aws', [passed, warned, failed, notMeant], false),
      [
        '  ✔ name        9 ms',
        '  ! TLS         the certificate is not verified, as the set says (skip_verify)',
        '  ✖ keys        cio_aws_secret_key: the secret key does not belong to the access key',
        '  – write       not tried: --restore-only needs no such right',
        '',
      ].join('\n'),
    );
  });

  it('prints what to do on the line below', () => {
    const refused: Finding = { check: 'bucket', state: 'failed', reason: 'no_such_bucket', subject: 'backup-123' };
    assert.equal(
      formatFindings('aws', [refused], false),
      '  ✖ bucket      there is no bucket backup-123\n                → make it, or correct the name\n',
    );
  });

  it('leaves the consequences of a failure to formatNotTried()', () => {
    assert.equal(formatFindings('aws', consequences, false), '');
    assert.equal(formatNotTried([failed, ...consequences], false), '  – not tried after that: bucket, list\n');
    assert.equal(formatNotTried([failed, notMeant], false), '');
  });

  it('colours the marks if asked to, and never prints escape sequences from the daemon', () => {
    assert.match(formatFindings('aws', [failed], true), /^ {2}\u001b\[31m✖\u001b\[0m keys/);
    const hostile: Finding = { check: 'region', state: 'failed', reason: 'wrong_region', subject: '\u001b[2J' };
    assert.ok(!formatFindings('aws', [hostile], false).includes('\u001b'));
    assert.ok(!formatTitle('\u001b[2J').includes('\u001b'));
  });

  it('shows unknown reasons unchanged', () => {
    const unknown: Finding = { check: 'key', state: 'failed', reason: 'of_a_later_version', subject: 'x' };
    assert.equal(formatFindings('aws', [unknown], false), '  ✖ keys        of_a_later_version (x)\n');
  });
});

describe('formatResult()', () => {
  it('names the first failed check', () => {
    const broken = { ...failed, check: 'list' } as const;
    assert.equal(
      formatResult('aws', [passed, failed, broken]),
      'aws: keys: cio_aws_secret_key: the secret key does not belong to the access key',
    );
    assert.ok(formatResult('aws', [passed, failed]).endsWith(formatMistake('aws', failed)));
  });

  it('counts what passed and what did not', () => {
    assert.equal(
      formatResult('aws', [passed, passed, warned, notMeant]),
      'aws works: 2 checks passed, 1 with a warning, 1 not tried',
    );
  });
});

describe('formatTrying()', () => {
  it('names the check after the last one found, whatever their order', () => {
    assert.equal(formatTrying([]), 'Trying: values');
    const found = (['region', 'shape', 'key'] as const).map((check) => ({ check, state: 'passed' as const }));
    assert.equal(formatTrying(found), 'Trying: bucket');
    assert.equal(formatTrying([{ check: 'password', state: 'failed' }]), 'Trying');
  });
});
