import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { HeapTrimmer, TRIM_DELAY_MS } from '../../../daemon/socket/heap-trimmer.ts';

/** Makes a trimmer and counts how often it gives memory back. */
function makeTrimmer(t: TestContext): { readonly trimmer: HeapTrimmer; readonly times: () => number } {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let times = 0;
  return { trimmer: new HeapTrimmer(() => (times += 1)), times: () => times };
}

describe('HeapTrimmer', () => {
  it('gives memory back once, some time after half of the connections have closed', (t) => {
    const { trimmer, times } = makeTrimmer(t);
    for (const count of [1, 64, 100, 51]) trimmer.noteConnections(count);
    t.mock.timers.tick(TRIM_DELAY_MS);
    assert.equal(times(), 0);
    trimmer.noteConnections(50);
    t.mock.timers.tick(1);
    for (const count of [49, 0]) trimmer.noteConnections(count);
    t.mock.timers.tick(TRIM_DELAY_MS - 2);
    assert.equal(times(), 0);
    t.mock.timers.tick(1);
    assert.equal(times(), 1);
    for (const count of [1, 0]) trimmer.noteConnections(count);
    t.mock.timers.tick(TRIM_DELAY_MS);
    assert.equal(times(), 1);
  });

  it('does so again for the next peak, but not for a few connections', (t) => {
    const { trimmer, times } = makeTrimmer(t);
    for (const count of [63, 0]) trimmer.noteConnections(count);
    t.mock.timers.tick(TRIM_DELAY_MS);
    assert.equal(times(), 0);
    for (const most of [64, 200]) {
      for (const count of [most, 0]) trimmer.noteConnections(count);
      t.mock.timers.tick(TRIM_DELAY_MS);
    }
    assert.equal(times(), 2);
  });

  it('gives memory back some time after a long call, once for all calls until then', (t) => {
    const { trimmer, times } = makeTrimmer(t);
    trimmer.noteConnections(1);
    trimmer.noteLongCall();
    t.mock.timers.tick(TRIM_DELAY_MS - 1);
    trimmer.noteLongCall();
    assert.equal(times(), 0);
    t.mock.timers.tick(1);
    assert.equal(times(), 1);
    t.mock.timers.tick(TRIM_DELAY_MS);
    assert.equal(times(), 1);
    trimmer.noteLongCall();
    t.mock.timers.tick(TRIM_DELAY_MS);
    assert.equal(times(), 2);
  });
});
