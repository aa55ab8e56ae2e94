import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { createLog } from '../../daemon/log.ts';
import { REPEAT_INTERVAL_MS, rateLimited } from '../../daemon/rate-limited-log.ts';
import type { RateLimitedLog } from '../../daemon/rate-limited-log.ts';

/** @returns the log, and a function that returns the lines since its last call */
function start(t: TestContext): { log: RateLimitedLog; written: () => string[] } {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const lines: string[] = [];
  const log = rateLimited(createLog((line) => void lines.push(line.trimEnd()), true));
  return { log, written: () => lines.splice(0) };
}

describe('rateLimited()', () => {
  it('writes a line at once, and repeats it once a minute with how often it was omitted', (t) => {
    const { log, written } = start(t);
    for (let times = 0; times < 1000; times += 1) log.error('failed', { reason: 'full' });
    assert.deepEqual(written(), ['<3>failed reason=full']);
    t.mock.timers.tick(REPEAT_INTERVAL_MS - 1);
    assert.deepEqual(written(), []);
    t.mock.timers.tick(1);
    assert.deepEqual(written(), ['<3>failed reason=full times=999']);
    log.error('failed', { reason: 'full' });
    assert.deepEqual(written(), []);
    t.mock.timers.tick(REPEAT_INTERVAL_MS);
    assert.deepEqual(written(), ['<3>failed reason=full']);
  });

  it('writes at once what was not logged for a minute', (t) => {
    const { log, written } = start(t);
    for (let minute = 0; minute < 3; minute += 1) {
      log.info('works again');
      assert.deepEqual(written(), ['<6>works again']);
      t.mock.timers.tick(REPEAT_INTERVAL_MS);
      assert.deepEqual(written(), []);
    }
  });

  it('does not omit a line for another one', (t) => {
    const { log, written } = start(t);
    for (const reason of ['full', 'io', 'full', 'io', 'io']) log.warning('failed', { reason });
    log.warning('failed');
    assert.deepEqual(written(), ['<4>failed reason=full', '<4>failed reason=io', '<4>failed']);
    t.mock.timers.tick(REPEAT_INTERVAL_MS);
    assert.deepEqual(written(), ['<4>failed reason=full', '<4>failed reason=io times=2']);
  });

  it('writes resolved() after all that was omitted, and nothing of it later', (t) => {
    const { log, written } = start(t);
    for (let times = 0; times < 3; times += 1) log.error('failed');
    log.resolved('works again', assert.fail);
    assert.deepEqual(written(), ['<3>failed', '<3>failed times=2', '<6>works again']);
    t.mock.timers.tick(2 * REPEAT_INTERVAL_MS);
    assert.deepEqual(written(), []);
  });

  for (const isResolved of [true, false]) {
    it(`ends with the final state within a minute, if it ${isResolved ? 'works' : 'fails'} at the end`, (t) => {
      const { log, written } = start(t);
      for (let times = 0; times < 5; times += 1) {
        log.error('failed');
        log.resolved('works again', () => isResolved);
      }
      if (!isResolved) log.error('failed');
      assert.deepEqual(written(), ['<3>failed', '<6>works again']);
      t.mock.timers.tick(REPEAT_INTERVAL_MS);
      const repeated = `<3>failed times=${isResolved ? 4 : 5}`;
      assert.deepEqual(written(), isResolved ? [repeated, '<6>works again'] : [repeated]);
      t.mock.timers.tick(2 * REPEAT_INTERVAL_MS);
      assert.deepEqual(written(), []);
    });
  }
});
