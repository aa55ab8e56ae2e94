import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { withinCpuTime } from './cpu-time.ts';

describe('withinCpuTime()', () => {
  it('accepts work that is done in time, and fails work that is not', () => {
    withinCpuTime(60_000, () => undefined);
    const work = (): void => {
      const { user } = process.cpuUsage();
      while (process.cpuUsage().user - user < 50_000);
    };
    assert.throws(() => withinCpuTime(20, work), /of the processor; 20 are allowed/);
  });
});
