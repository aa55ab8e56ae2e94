import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { AFTERWARDS_MS, Crowd } from '../../../daemon/socket/crowd.ts';

/** Makes a crowd and counts how often it gives memory back. */
function makeCrowd(t: TestContext): { readonly crowd: Crowd; readonly times: () => number } {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let times = 0;
  return { crowd: new Crowd(() => (times += 1)), times: () => times };
}

describe('Crowd', () => {
  it('gives memory back once, some time after half of the connections have closed', (t) => {
    const { crowd, times } = makeCrowd(t);
    for (const count of [1, 64, 100, 51]) crowd.note(count);
    t.mock.timers.tick(AFTERWARDS_MS);
    assert.equal(times(), 0);
    crowd.note(50);
    t.mock.timers.tick(1);
    for (const count of [49, 0]) crowd.note(count);
    t.mock.timers.tick(AFTERWARDS_MS - 2);
    assert.equal(times(), 0);
    t.mock.timers.tick(1);
    assert.equal(times(), 1);
    for (const count of [1, 0]) crowd.note(count);
    t.mock.timers.tick(AFTERWARDS_MS);
    assert.equal(times(), 1);
  });

  it('does so again for the next crowd, but not for a few connections', (t) => {
    const { crowd, times } = makeCrowd(t);
    for (const count of [63, 0]) crowd.note(count);
    t.mock.timers.tick(AFTERWARDS_MS);
    assert.equal(times(), 0);
    for (const most of [64, 200]) {
      for (const count of [most, 0]) crowd.note(count);
      t.mock.timers.tick(AFTERWARDS_MS);
    }
    assert.equal(times(), 2);
  });

  it('gives memory back some time after a long call, once for all calls until then', (t) => {
    const { crowd, times } = makeCrowd(t);
    crowd.note(1);
    crowd.noteLongCall();
    t.mock.timers.tick(AFTERWARDS_MS - 1);
    crowd.noteLongCall();
    assert.equal(times(), 0);
    t.mock.timers.tick(1);
    assert.equal(times(), 1);
    t.mock.timers.tick(AFTERWARDS_MS);
    assert.equal(times(), 1);
    crowd.noteLongCall();
    t.mock.timers.tick(AFTERWARDS_MS);
    assert.equal(times(), 2);
  });
});
