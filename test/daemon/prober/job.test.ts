import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { parseJob } from '../../../daemon/prober/job.ts';
import { jobOf } from './harness.ts';

const bytesOf = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));

describe('parseJob()', () => {
  it('reads what the daemon writes', () => {
    const job = jobOf({ backup_password: ' ü\u0000' });
    assert.deepEqual({ ...parseJob(bytesOf(job)), values: { ...parseJob(bytesOf(job)).values } }, job);
  });

  it('takes a job of a daemon that does not know of buckets to make for one that makes none', () => {
    const { makeBucket: _unknown, ...older } = jobOf();
    assert.equal(parseJob(bytesOf(older)).makeBucket, false);
    assert.equal(parseJob(bytesOf({ ...older, makeBucket: true })).makeBucket, true);
  });

  it('knows no field by what every object has', () => {
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
    it(`refuses ${JSON.stringify(value).slice(0, 60)}, and does not repeat it`, () => {
      assert.throws(() => parseJob(bytesOf(value)), { name: 'JobError', message: 'what was received is no job' });
    });
  }

  it('refuses what is no JSON, or no UTF-8, without a word of it', () => {
    const withByte = Buffer.from(bytesOf({ ...jobOf(), set: 'x~x' }));
    withByte[withByte.indexOf('~')] = 0xff;
    for (const bytes of [Buffer.from('{"secret'), Buffer.from([0x22, 0xff, 0x22]), Buffer.alloc(0), withByte]) {
      assert.throws(() => parseJob(bytes), { name: 'JobError', message: 'what was received is no job' });
    }
  });
});
