import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { dueTime } from '../../../daemon/health/due.ts';
import type { ScheduledSet } from '../../../daemon/health/due.ts';

const HOUR_MS = 60 * 60 * 1000;
const NOW = Date.UTC(2026, 0, 2);

/** Returns the due times of sets about which the same is known. */
function dueTimes(count: number, known: Omit<ScheduledSet, 'key' | 'everyMs'>): number[] {
  return Array.from({ length: count }, (_, index) =>
    dueTime({ ...known, key: `system set-${index}`, everyMs: HOUR_MS }),
  );
}

/** Counts the times in each tenth of the interval after `from`. */
function perTenth(times: readonly number[], from: number): number[] {
  const counts = Array.from({ length: 10 }, () => 0);
  for (const time of times) {
    const tenth = Math.floor(((time - from) / HOUR_MS) * 10);
    counts[tenth] = (counts[tenth] ?? Number.NaN) + 1;
  }
  return counts;
}

describe('dueTime()', () => {
  it('is about one interval after the last validation, and different for each set', () => {
    const times = dueTimes(1000, { validated: NOW, changed: 0, since: NOW - HOUR_MS });
    assert.ok(times.every((time) => time >= NOW + 0.9 * HOUR_MS && time <= NOW + 1.1 * HOUR_MS));
    assert.ok(new Set(times).size > 990);
  });

  for (const [what, known] of Object.entries({
    'were overdue at the start': { validated: NOW - 50 * HOUR_MS, changed: 0, since: NOW },
    'were never validated': { validated: undefined, changed: NOW - 50 * HOUR_MS, since: NOW },
    'have just changed': { validated: undefined, changed: NOW, since: NOW - 50 * HOUR_MS },
  })) {
    it(`spreads sets that ${what} evenly over the interval`, () => {
      const counts = perTenth(dueTimes(1000, known), NOW);
      assert.ok(counts.length === 10 && counts.every((count) => count > 60 && count < 140), JSON.stringify(counts));
    });
  }

  it('is not moved by a restart if the set was not due yet', () => {
    const validated = NOW - HOUR_MS / 2;
    const before = dueTime({ key: 'a', validated, changed: 0, since: NOW - 100 * HOUR_MS, everyMs: HOUR_MS });
    assert.equal(dueTime({ key: 'a', validated, changed: 0, since: NOW, everyMs: HOUR_MS }), before);
  });

  it('is deterministic, not before the start, and at most 1.1 intervals later', () => {
    const time = fc.integer({ min: NOW - 100 * HOUR_MS, max: NOW });
    const known = fc.record({
      key: fc.string(),
      validated: fc.option(time, { nil: undefined }),
      changed: time,
      since: time,
      everyMs: fc.integer({ min: 60_000, max: 720 * HOUR_MS }),
    });
    fc.assert(
      fc.property(known, (given) => {
        const due = dueTime(given);
        assert.equal(dueTime({ ...given }), due);
        const latest = Math.max(given.validated ?? given.changed, given.since);
        assert.ok(due >= given.since && due <= latest + 1.1 * given.everyMs);
      }),
    );
  });
});
