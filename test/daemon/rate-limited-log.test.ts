import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { createLog } from '../../daemon/log.ts';
import { SAID_AGAIN_MS, seldom } from '../../daemon/seldom.ts';
import type { SeldomLog } from '../../daemon/seldom.ts';

/** @returns what is asked for the lines that came since */
function start(t: TestContext): { log: SeldomLog; said: () => string[] } {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const lines: string[] = [];
  const log = seldom(createLog((line) => void lines.push(line.trimEnd()), true));
  return { log, said: () => lines.splice(0) };
}

describe('seldom()', () => {
  it('says a line at once, and again once a minute, with how often it was left out', (t) => {
    const { log, said } = start(t);
    for (let times = 0; times < 1000; times += 1) log.error('failed', { reason: 'full' });
    assert.deepEqual(said(), ['<3>failed reason=full']);
    t.mock.timers.tick(SAID_AGAIN_MS - 1);
    assert.deepEqual(said(), []);
    t.mock.timers.tick(1);
    assert.deepEqual(said(), ['<3>failed reason=full times=999']);
    log.error('failed', { reason: 'full' });
    assert.deepEqual(said(), []);
    t.mock.timers.tick(SAID_AGAIN_MS);
    assert.deepEqual(said(), ['<3>failed reason=full']);
  });

  it('says at once what did not happen for a minute', (t) => {
    const { log, said } = start(t);
    for (let minute = 0; minute < 3; minute += 1) {
      log.info('works again');
      assert.deepEqual(said(), ['<6>works again']);
      t.mock.timers.tick(SAID_AGAIN_MS);
      assert.deepEqual(said(), []);
    }
  });

  it('leaves out no line for another one', (t) => {
    const { log, said } = start(t);
    for (const reason of ['full', 'io', 'full', 'io', 'io']) log.warning('failed', { reason });
    log.warning('failed');
    assert.deepEqual(said(), ['<4>failed reason=full', '<4>failed reason=io', '<4>failed']);
    t.mock.timers.tick(SAID_AGAIN_MS);
    assert.deepEqual(said(), ['<4>failed reason=full', '<4>failed reason=io times=2']);
  });

  it('says that it is over behind all that it left out, and nothing of that afterwards', (t) => {
    const { log, said } = start(t);
    for (let times = 0; times < 3; times += 1) log.error('failed');
    log.over('works again', assert.fail);
    assert.deepEqual(said(), ['<3>failed', '<3>failed times=2', '<6>works again']);
    t.mock.timers.tick(2 * SAID_AGAIN_MS);
    assert.deepEqual(said(), []);
  });

  for (const isOver of [true, false]) {
    it(`says last what is true within the minute, where it ${isOver ? 'works' : 'fails'} at the end`, (t) => {
      const { log, said } = start(t);
      for (let times = 0; times < 5; times += 1) {
        log.error('failed');
        log.over('works again', () => isOver);
      }
      if (!isOver) log.error('failed');
      assert.deepEqual(said(), ['<3>failed', '<6>works again']);
      t.mock.timers.tick(SAID_AGAIN_MS);
      const repeated = `<3>failed times=${isOver ? 4 : 5}`;
      assert.deepEqual(said(), isOver ? [repeated, '<6>works again'] : [repeated]);
      t.mock.timers.tick(2 * SAID_AGAIN_MS);
      assert.deepEqual(said(), []);
    });
  }
});
