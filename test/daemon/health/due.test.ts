import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { dueTime } from '../../../daemon/health/due.ts';
import type { Planned } from '../../../daemon/health/due.ts';

const HOUR_MS = 60 * 60 * 1000;
const NOW = Date.UTC(2026, 0, 2);

/** Of sets of which the same is known. */
function dueTimes(count: number, planned: Omit<Planned, 'key' | 'everyMs'>): number[] {
  return Array.from({ length: count }, (_, index) =>
    dueTime({ ...planned, key: `system set-${index}`, everyMs: HOUR_MS }),
  );
}

/** How many times fall into each tenth of the interval after a time. */
function perTenth(times: readonly number[], from: number): number[] {
  const counts = Array.from({ length: 10 }, () => 0);
  for (const time of times) {
    const tenth = Math.floor(((time - from) / HOUR_MS) * 10);
    counts[tenth] = (counts[tenth] ?? Number.NaN) + 1;
  }
  return counts;
}

describe('dueTime()', () => {
  it('is about one interval after the last trial, for no two sets the same', () => {
    const times = dueTimes(1000, { tried: NOW, changed: 0, since: NOW - HOUR_MS });
    assert.ok(times.every((time) => time >= NOW + 0.9 * HOUR_MS && time <= NOW + 1.1 * HOUR_MS));
    assert.ok(new Set(times).size > 990);
  });

  for (const [what, planned] of Object.entries({
    'overdue at the start': { tried: NOW - 50 * HOUR_MS, changed: 0, since: NOW },
    'never tried': { tried: undefined, changed: NOW - 50 * HOUR_MS, since: NOW },
    'changed just now': { tried: undefined, changed: NOW, since: NOW - 50 * HOUR_MS },
  })) {
    it(`spreads evenly over the interval what was ${what}`, () => {
      const counts = perTenth(dueTimes(1000, planned), NOW);
      assert.ok(counts.length === 10 && counts.every((count) => count > 60 && count < 140), JSON.stringify(counts));
    });
  }

  it('is not moved by a restart where it was not due yet', () => {
    const tried = NOW - HOUR_MS / 2;
    const before = dueTime({ key: 'a', tried, changed: 0, since: NOW - 100 * HOUR_MS, everyMs: HOUR_MS });
    assert.equal(dueTime({ key: 'a', tried, changed: 0, since: NOW, everyMs: HOUR_MS }), before);
  });

  it('is the same whenever it is asked, not before the start, and not later than an interval and a tenth', () => {
    const time = fc.integer({ min: NOW - 100 * HOUR_MS, max: NOW });
    const planned = fc.record({
      key: fc.string(),
      tried: fc.option(time, { nil: undefined }),
      changed: time,
      since: time,
      everyMs: fc.integer({ min: 60_000, max: 720 * HOUR_MS }),
    });
    fc.assert(
      fc.property(planned, (given) => {
        const due = dueTime(given);
        assert.equal(dueTime({ ...given }), due);
        const latest = Math.max(given.tried ?? given.changed, given.since);
        assert.ok(due >= given.since && due <= latest + 1.1 * given.everyMs);
      }),
    );
  });
});
