import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { StoreError } from '../../../daemon/store/sealed-store.ts';
import type { SealedStore } from '../../../daemon/store/sealed-store.ts';
import { Purger } from '../../../daemon/vault/purger.ts';

const MOMENT_MS = 1000;
const RETRY_MS = 10_000;

/** A purger of a store that only counts how often it was purged, and fails when it is told to. */
function startPurger(t: TestContext): {
  purger: Purger;
  seen: { purges: number; failures: unknown[]; failure: Error | undefined };
} {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const seen: { purges: number; failures: unknown[]; failure: Error | undefined } = {
    purges: 0,
    failures: [],
    failure: undefined,
  };
  const purge = (): void => {
    seen.purges += 1;
    if (seen.failure !== undefined) throw seen.failure;
  };
  return {
    purger: new Purger({ purge } as SealedStore, (error) => void seen.failures.push(error)),
    seen,
  };
}

describe('Purger', () => {
  it('purges once for all that was deleted in a moment', (t) => {
    const { purger, seen } = startPurger(t);
    for (let index = 0; index < 3; index += 1) purger.soon();
    t.mock.timers.tick(MOMENT_MS - 1);
    assert.equal(seen.purges, 0);
    t.mock.timers.tick(10 * MOMENT_MS);
    assert.equal(seen.purges, 1);
    purger.soon();
    t.mock.timers.tick(MOMENT_MS);
    assert.equal(seen.purges, 2);
  });

  it('tries again, less often, where it could not, and tells of each time', (t) => {
    const { purger, seen } = startPurger(t);
    seen.failure = new StoreError('changed_by_other', 'another program reads the store');
    purger.now();
    assert.deepEqual(seen.failures, [seen.failure]);
    t.mock.timers.tick(RETRY_MS - 1);
    assert.equal(seen.purges, 1);
    t.mock.timers.tick(1);
    assert.deepEqual([seen.purges, seen.failures.length], [2, 2]);
    seen.failure = undefined;
    t.mock.timers.tick(RETRY_MS);
    t.mock.timers.tick(RETRY_MS);
    assert.deepEqual([seen.purges, seen.failures.length], [3, 2]);
  });

  it('waits while it is held, and comes to nothing when it is stopped', (t) => {
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
