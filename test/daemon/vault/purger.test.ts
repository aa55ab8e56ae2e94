import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import { Purger } from '../../../daemon/vault/purger.ts';

const MOMENT_MS = 1000;
const RETRY_MS = 10_000;
const LATER_MS = 60_000;

interface Seen {
  purges: number;
  failures: unknown[];
  /** How often `onPurged` was called. */
  mended: number;
  failure: Error | undefined;
}

/** Starts a purger of a store that only counts its purges, and fails on request. */
function startPurger(t: TestContext): { purger: Purger; seen: Seen } {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const seen: Seen = { purges: 0, failures: [], mended: 0, failure: undefined };
  const purge = (): void => {
    seen.purges += 1;
    if (seen.failure !== undefined) throw seen.failure;
  };
  return {
    purger: new Purger(
      { purge },
      {
        onPurgeFailed: (error) => void seen.failures.push(error),
        onPurged: () => {
          seen.mended += 1;
        },
      },
    ),
    seen,
  };
}

describe('Purger', () => {
  it('purges once for all deletions within a second', (t) => {
    const { purger, seen } = startPurger(t);
    for (let index = 0; index < 3; index += 1) purger.soon();
    t.mock.timers.tick(MOMENT_MS - 1);
    assert.equal(seen.purges, 0);
    t.mock.timers.tick(10 * MOMENT_MS);
    assert.equal(seen.purges, 1);
    purger.soon();
    t.mock.timers.tick(MOMENT_MS - 1);
    purger.soon();
    t.mock.timers.tick(1);
    assert.equal(seen.purges, 2, 'what is deleted meanwhile does not put it off');
    assert.equal(seen.mended, 0, 'nothing had failed');
  });

  it('purges a minute after a write, and together with a purge after a deletion', (t) => {
    const { purger, seen } = startPurger(t);
    purger.later();
    t.mock.timers.tick(LATER_MS - 1);
    assert.equal(seen.purges, 0);
    t.mock.timers.tick(1);
    assert.equal(seen.purges, 1);
    purger.later();
    purger.soon();
    purger.later();
    t.mock.timers.tick(MOMENT_MS);
    assert.equal(seen.purges, 2);
    t.mock.timers.tick(LATER_MS);
    assert.equal(seen.purges, 2, 'it was all done');
  });

  it('tries again, less often, after a failure, and reports the first failure and the recovery', (t) => {
    const { purger, seen } = startPurger(t);
    const first = new StoreError('changed_by_other', 'another program reads the store');
    for (const failure of [first, new StoreError('full', 'the disk is full')]) {
      Object.assign(seen, { purges: 0, failures: [], mended: 0, failure });
      purger.now();
      assert.deepEqual(seen.failures, [failure]);
      t.mock.timers.tick(MOMENT_MS);
      purger.soon();
      t.mock.timers.tick(RETRY_MS - MOMENT_MS - 1);
      assert.equal(seen.purges, 1, 'what is asked for meanwhile does not make it more often');
      t.mock.timers.tick(1);
      t.mock.timers.tick(RETRY_MS);
      assert.deepEqual([seen.purges, seen.failures.length, seen.mended], [3, 1, 0]);
      seen.failure = undefined;
      t.mock.timers.tick(RETRY_MS);
      t.mock.timers.tick(RETRY_MS);
      assert.deepEqual([seen.purges, seen.failures.length, seen.mended], [4, 1, 1]);
    }
  });

  it('is overdue if deleted data has waited for long, and purges at once for its only holder', (t) => {
    const { purger, seen } = startPurger(t);
    purger.hold();
    purger.later();
    for (let moment = 0; moment < 100; moment += 1) t.mock.timers.tick(MOMENT_MS);
    assert.equal(purger.isOverdue, false, 'nothing was deleted');
    purger.soon();
    for (let moment = 0; moment < 9; moment += 1) t.mock.timers.tick(MOMENT_MS);
    assert.equal(purger.isOverdue, false);
    t.mock.timers.tick(MOMENT_MS);
    assert.equal(purger.isOverdue, true);
    purger.nowUnlessHeld(0);
    assert.equal(seen.purges, 0);
    purger.nowUnlessHeld(1);
    assert.deepEqual([seen.purges, purger.isOverdue], [1, false]);
    purger.release();
    t.mock.timers.tick(LATER_MS);
    assert.equal(seen.purges, 1);
  });

  it('purges a second later if there is another holder', (t) => {
    const { purger, seen } = startPurger(t);
    purger.hold();
    purger.hold();
    purger.nowUnlessHeld(1);
    purger.release();
    purger.release();
    assert.equal(seen.purges, 0);
    t.mock.timers.tick(MOMENT_MS);
    assert.equal(seen.purges, 1);
  });

  it('still knows after a failure that deleted data waits', (t) => {
    const { purger, seen } = startPurger(t);
    seen.failure = new StoreError('changed_by_other', 'another program reads the store');
    purger.soon();
    t.mock.timers.tick(MOMENT_MS);
    purger.hold();
    seen.failure = undefined;
    t.mock.timers.tick(RETRY_MS);
    for (let moment = 0; moment < 10; moment += 1) t.mock.timers.tick(MOMENT_MS);
    assert.deepEqual([seen.purges, purger.isOverdue], [1, true]);
  });

  it('waits while it is held, and does nothing once it is stopped', (t) => {
    const { purger, seen } = startPurger(t);
    purger.soon();
    purger.hold();
    purger.hold();
    t.mock.timers.tick(5 * MOMENT_MS);
    assert.equal(seen.purges, 0);
    purger.release();
    t.mock.timers.tick(5 * MOMENT_MS);
    assert.equal(seen.purges, 0, 'one of two holds it still');
    purger.release();
    t.mock.timers.tick(MOMENT_MS);
    assert.equal(seen.purges, 1);
    purger.soon();
    purger.stop();
    t.mock.timers.tick(RETRY_MS);
    assert.equal(seen.purges, 1);
  });
});
