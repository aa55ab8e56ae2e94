import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lessThanAsked } from './less-than-asked.ts';

describe('lessThanAsked()', () => {
  it('allows what is asked for if the machine can have as much', () => {
    assert.deepEqual(lessThanAsked(100, 100, 'clients', 'ulimit -Hn'), { count: 100 });
    assert.deepEqual(lessThanAsked(100, Number.POSITIVE_INFINITY, 'clients', 'ulimit -Hn'), { count: 100 });
  });

  it('says how much less there is', () => {
    const fewer = '25 clients instead of 100, for ulimit -Hn';
    assert.deepEqual(lessThanAsked(100, 25, 'clients', 'ulimit -Hn'), { count: 25, fewer });
  });

  it('allows nothing below a quarter of what was asked for', () => {
    for (const possible of [24, 1, 0, -80]) {
      const { notRun, fewer } = lessThanAsked(100, possible, 'clients', 'ulimit -Hn');
      assert.equal(notRun, `there could be ${Math.max(0, possible)} clients instead of 100, for ulimit -Hn`);
      assert.equal(fewer, undefined);
    }
  });
});
