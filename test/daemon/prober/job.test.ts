import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { parseJob } from '../../../daemon/prober/job.ts';
import { jobOf } from './harness.ts';

const bytesOf = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

describe('parseJob()', () => {
  it('parses what the daemon writes', () => {
    const job = jobOf({ backup_password: ' ü\u0000' });
    assert.deepEqual({ ...parseJob(bytesOf(job)), values: { ...parseJob(bytesOf(job)).values } }, job);
  });

  it('reads a job of an older daemon without makeBucket as one that makes none', () => {
    const { makeBucket: _unknown, ...older } = jobOf();
    assert.equal(parseJob(bytesOf(older)).makeBucket, false);
    assert.equal(parseJob(bytesOf({ ...older, makeBucket: true })).makeBucket, true);
  });

  it('does not treat inherited properties as fields', () => {
    const { values } = parseJob(bytesOf({ ...jobOf(), values: {} }));
    assert.equal(values['toString'], undefined);
    assert.equal(values['constructor'], undefined);
  });

  const bad: readonly unknown[] = [
    null,
    [],
    'job',
    {},
    { ...jobOf(), set: 1 },
    { ...jobOf(), provider: null },
    { ...jobOf(), restoreOnly: 'true' },
    { ...jobOf(), makeBucket: 'true' },
    { ...jobOf(), makeBucket: null },
    { ...jobOf(), values: null },
    { ...jobOf(), values: ['a'] },
    { ...jobOf(), values: { secret_key: 7 } },
    { ...jobOf(), values: { secret_key: { toString: 'x' } } },
  ];
  for (const value of bad) {
    it(`refuses ${JSON.stringify(value).replace(JSON.stringify(jobOf().values), '{…}')}, without repeating it`, () => {
      assert.throws(() => parseJob(bytesOf(value)), {
        name: 'JobError',
        message: 'the bytes received are not a valid job',
      });
    });
  }

  it('refuses bytes that are not JSON or not UTF-8, without repeating them', () => {
    const withByte = Buffer.from(bytesOf({ ...jobOf(), set: 'x~x' }));
    withByte[withByte.indexOf('~')] = 0xff;
    for (const bytes of [Buffer.from('{"secret'), Buffer.from([0x22, 0xff, 0x22]), Buffer.alloc(0), withByte]) {
      assert.throws(() => parseJob(bytes), { name: 'JobError', message: 'the bytes received are not a valid job' });
    }
  });
});
