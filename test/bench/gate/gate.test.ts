import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatVerdicts, judge, passes } from './gate.ts';

const FIGURES = [
  { id: 'calls', what: 'system calls', value: 3 },
  { id: 'package', what: 'bytes of the package', value: undefined, missing: 'a package' },
];

describe('judge()', () => {
  it('passes a figure within its bound, and one that cannot be counted for a stated reason', () => {
    const verdicts = judge(FIGURES, { calls: 3, package: 1000 });
    assert.deepEqual(
      verdicts.map(({ state }) => state),
      ['within', 'not counted'],
    );
    assert.equal(passes(verdicts), true);
  });

  it('fails a figure over its bound, and says so', () => {
    const verdicts = judge(FIGURES, { calls: 2.99, package: 1000 });
    assert.equal(passes(verdicts), false);
    assert.match(formatVerdicts(verdicts), /^calls +3 +≤ 2\.99 +EXCEEDED/m);
  });

  it('fails a figure below its bound, and says so', () => {
    const verdicts = judge([{ id: 'syncs', what: 'syncs for a write', value: 0 }], { syncs: [1, 2] });
    assert.equal(passes(verdicts), false);
    assert.match(formatVerdicts(verdicts), /^syncs +0 +1 to 2 +TOO LITTLE/m);
    assert.equal(passes(judge([{ id: 'syncs', what: 'syncs for a write', value: 1 }], { syncs: [1, 2] })), true);
  });

  it('fails a figure without a bound, and a bound without a figure', () => {
    assert.equal(passes(judge(FIGURES, { package: 1000 })), false);
    assert.equal(passes(judge(FIGURES, { calls: 3, package: 1000, renamed: 1 })), false);
  });
});
