import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatAge, formatTime } from '../../../client/cio/time.ts';

const NOW = Date.UTC(2026, 0, 31, 12);
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

describe('formatAge()', () => {
  it('names the largest unit', () => {
    for (const [age, text] of [
      [0, 'just now'],
      [MINUTE - 1, 'just now'],
      [MINUTE, '1 minute ago'],
      [2 * MINUTE, '2 minutes ago'],
      [60 * MINUTE, '1 hour ago'],
      [DAY, '1 day ago'],
      [29 * DAY, '29 days ago'],
      [30 * DAY, '1 month ago'],
      [800 * DAY, '2 years ago'],
    ] as const) {
      assert.equal(formatAge(NOW - age, NOW), text);
    }
  });

  it('says "in …" for a time in the future, but tolerates a small difference between clocks', () => {
    assert.equal(formatAge(NOW + MINUTE - 1, NOW), 'just now');
    assert.equal(formatAge(NOW + MINUTE, NOW), 'in 1 minute');
    assert.equal(formatAge(NOW + 800 * DAY, NOW), 'in 2 years');
  });
});

describe('formatTime()', () => {
  it('gives the time to the second, in UTC', () => {
    assert.equal(formatTime(NOW + 999), '2026-01-31 12:00:00 UTC');
  });

  it('returns "unknown" for an invalid time', () => {
    assert.equal(formatTime(Number.MAX_SAFE_INTEGER), 'unknown');
  });
});
