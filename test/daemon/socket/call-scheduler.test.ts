import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CallScheduler, TURN_MS } from '../../../daemon/socket/call-scheduler.ts';

/**
 * Queues works of the given users, each of which reports how long it took, and returns the users in the order of their
 * works.
 */
async function order(scheduler: CallScheduler, uids: readonly number[], ms: number): Promise<number[]> {
  const begun: number[] = [];
  const works = uids.map(
    (uid) =>
      new Promise<void>((resolve) => {
        scheduler.wait(uid, () => {
          begun.push(uid);
          scheduler.note(ms);
          resolve();
        });
      }),
  );
  await Promise.all(works);
  return begun;
}

describe('CallScheduler', () => {
  it('lets users take turns, however much work one of them has', async () => {
    assert.deepEqual(await order(new CallScheduler(), [1, 1, 1, 1, 2, 3, 2], 0), [1, 2, 3, 1, 2, 1, 1]);
  });

  it('begins no more work in a turn than there is time for', async () => {
    const scheduler = new CallScheduler();
    let turn = 0;
    const begun: number[] = [];
    for (let work = 0; work < 5; work += 1) {
      scheduler.wait(1, () => {
        begun.push(turn);
        scheduler.note(TURN_MS / 2);
      });
    }
    for (; turn < 100; turn += 1) await nextTurn();
    const [first, , second, , third] = begun;
    assert.deepEqual(begun, [first, first, second, second, third]);
    assert.equal(new Set(begun).size, 3);
  });

  it('runs once per turn of the event loop, even for work that queues itself again', async () => {
    const scheduler = new CallScheduler();
    let turn = 0;
    const begun: number[] = [];
    const workAgain = (): void => {
      begun.push(turn);
      scheduler.note(TURN_MS);
      if (begun.length < 20) scheduler.wait(1, workAgain);
    };
    scheduler.wait(1, workAgain);
    for (; turn < 1000; turn += 1) await nextTurn();
    assert.equal(begun.length, 20);
    assert.equal(new Set(begun).size, 20);
  });

  it('has no time left after a turn is used up until the next one', async () => {
    const scheduler = new CallScheduler();
    assert.equal(scheduler.hasTime, true);
    scheduler.note(TURN_MS);
    assert.equal(scheduler.hasTime, false);
    assert.deepEqual(await order(scheduler, [1], 0), [1]);
    assert.equal(scheduler.hasTime, true);
  });

  it('counts what a work does in microtasks, before it begins the next one', async () => {
    const scheduler = new CallScheduler();
    let turn = 0;
    const events: [string, number][] = [];
    for (const name of ['first', 'second']) {
      scheduler.wait(1, () => {
        scheduler.follow();
        queueMicrotask(() => {
          const end = performance.now() + TURN_MS;
          while (performance.now() < end);
          events.push([name, turn]);
          assert.equal(scheduler.hasTime, false);
        });
      });
    }
    for (; turn < 100; turn += 1) await nextTurn();
    assert.deepEqual(
      events.map(([name]) => name),
      ['first', 'second'],
    );
    assert.equal(new Set(events.map(([, when]) => when)).size, 2, 'in two turns');
    assert.equal(scheduler.hasTime, false, 'until somebody waits again');
  });

  it('begins works in the same turn if their microtasks are short', async () => {
    const scheduler = new CallScheduler();
    let turn = 0;
    const begun: number[] = [];
    for (let work = 0; work < 5; work += 1) {
      scheduler.wait(1, () => {
        begun.push(turn);
        scheduler.follow();
      });
    }
    for (; turn < 10; turn += 1) await nextTurn();
    assert.equal(begun.length, 5);
    assert.equal(new Set(begun).size, 1);
  });

  it('gives more time to a user alone than to one with others waiting', () => {
    const scheduler = new CallScheduler();
    const alone = scheduler.sliceMs;
    scheduler.wait(1, () => undefined);
    assert.ok(scheduler.sliceMs < alone / 2, `${scheduler.sliceMs} of ${alone}`);
  });
});
