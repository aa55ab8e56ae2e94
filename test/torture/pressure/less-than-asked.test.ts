import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lessThanAsked } from './less-than-asked.ts';

describe('lessThanAsked()', () => {
  it('takes what is asked for where there can be as much', () => {
    assert.deepEqual(lessThanAsked(100, 100, 'clients', 'ulimit -Hn'), { count: 100 });
    assert.deepEqual(lessThanAsked(100, Number.POSITIVE_INFINITY, 'clients', 'ulimit -Hn'), { count: 100 });
  });

  it('says by how much there is less', () => {
    const fewer = '25 clients instead of 100, for ulimit -Hn';
    assert.deepEqual(lessThanAsked(100, 25, 'clients', 'ulimit -Hn'), { count: 25, fewer });
  });

  it('lets nothing be said with less than a quarter', () => {
    for (const possible of [24, 1, 0, -80]) {
      const { notRun, fewer } = lessThanAsked(100, possible, 'clients', 'ulimit -Hn');
      assert.equal(notRun, `there could be ${Math.max(0, possible)} clients instead of 100, for ulimit -Hn`);
      assert.equal(fewer, undefined);
    }
  });
});
