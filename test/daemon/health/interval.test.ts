import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { INTERVAL_MAX_MS, INTERVAL_MIN_MS, parseInterval } from '../../../daemon/health/interval.ts';

describe('parseInterval()', () => {
  it('parses off, and a number with its unit', () => {
    assert.equal(parseInterval('off'), 'off');
    for (const [text, minutes] of Object.entries({
      '1m': 1,
      '90m': 90,
      '6h': 360,
      '1d': 1440,
      '30d': 43_200,
      '0030m': 30,
    })) {
      assert.equal(parseInterval(text), minutes * 60_000, text);
    }
  });

  it('refuses values out of bounds, with the bounds', () => {
    for (const text of ['0m', '0d', '31d', '999999d', '721h']) {
      assert.deepEqual(parseInterval(text), { reason: 'is not from 1m to 30d' }, text);
    }
  });

  it('returns an interval within the bounds, or none, for any text', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^-?\d{0,8}[smhd ]{0,2}$/));
    fc.assert(
      fc.property(text, (given) => {
        const interval = parseInterval(given);
        if (typeof interval !== 'number') return;
        assert.match(given, /^\d+[mhd]$/);
        assert.ok(interval >= INTERVAL_MIN_MS && interval <= INTERVAL_MAX_MS);
      }),
    );
  });
});
