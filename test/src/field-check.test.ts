import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LINE_LENGTH_MAX, invalidValueReason } from '../../src/field-check.ts';
import { VALUE_BYTES_MAX } from '../../src/limits.ts';
import { PROVIDERS } from '../../src/providers/registry.ts';
import { cpuTimeOf } from '../support/cpu-time.ts';

const FIELD_IDS = new Set([...PROVIDERS.values()].flatMap(({ fields }) => fields.map(({ id }) => id)));

/** Text of about `bytes` made by repeating `part`. */
function repeated(part: string, bytes: number): string {
  return part.repeat(Math.floor(bytes / part.length));
}

describe('invalidValueReason()', () => {
  it('accepts a value that one of the possible providers accepts', () => {
    assert.equal(
      invalidValueReason('cio_any_backup_repo', () => 'azure:container:/', undefined),
      undefined,
    );
    assert.equal(
      invalidValueReason('cio_any_backup_repo', () => 's3:https://s3.amazonaws.com/backup', undefined),
      undefined,
    );
    assert.match(invalidValueReason('cio_any_backup_repo', () => 'nonsense', undefined) ?? '', /should look like/);
  });

  it('does not read a value for which there is nothing to check', () => {
    const read = (): string => assert.fail('it was read');
    assert.equal(invalidValueReason('cio_token', read, undefined), undefined);
  });

  it('refuses bytes that are not text', () => {
    assert.equal(
      invalidValueReason('cio_aws_region', () => undefined, undefined),
      'it is not text',
    );
  });

  it('refuses a line above the limit without parsing it, and accepts one at the limit', () => {
    const servers = `${'a,'.repeat(LINE_LENGTH_MAX / 2 - 1)}aa`;
    assert.equal(servers.length, LINE_LENGTH_MAX);
    assert.equal(
      invalidValueReason('cio_any_endpoint', () => servers, undefined),
      undefined,
    );
    const reason = invalidValueReason('cio_any_endpoint', () => `${servers}a`, undefined);
    assert.equal(reason, `it has more than ${LINE_LENGTH_MAX} characters`);
  });

  it('checks the largest value of any field, whatever is repeated in it, in less than a turn that others notice', () => {
    for (const part of [
      'a',
      ',',
      'a,',
      'a.',
      '[',
      '[::',
      '1',
      ' ',
      '/',
      '/a',
      '-',
      '\n',
      '{"a":',
      '-----BEGIN CERTIFICATE-----\n',
      'é',
    ])
      for (const id of FIELD_IDS) {
        const text = repeated(part, VALUE_BYTES_MAX);
        const check = (): void => void invalidValueReason(`cio_any_${id}`, () => text, undefined);
        const took = Math.min(...Array.from({ length: 3 }, () => cpuTimeOf(check)));
        assert.ok(took < 200, `${id} of ${JSON.stringify(part)}: ${took} ms of the processor`);
      }
  });
});
