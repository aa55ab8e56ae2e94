import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TURN_MS, WorkTurns } from '../../../daemon/socket/work-turns.ts';

/**
 * Queues works of the given users, each of which reports how long it took, and returns the users in the order of their
 * works.
 */
async function order(turns: WorkTurns, uids: readonly number[], ms: number): Promise<number[]> {
  const begun: number[] = [];
  const works = uids.map(
    (uid) =>
      new Promise<void>((resolve) => {
        turns.wait(uid, () => {
          begun.push(uid);
          turns.note(ms);
          resolve();
        });
      }),
  );
  await Promise.all(works);
  return begun;
}

describe('WorkTurns', () => {
  it('lets users take turns, however much work one of them has', async () => {
    assert.deepEqual(await order(new WorkTurns(), [1, 1, 1, 1, 2, 3, 2], 0), [1, 2, 3, 1, 2, 1, 1]);
  });

  it('begins no more work in a turn than there is time for', async () => {
    const turns = new WorkTurns();
    let turn = 0;
    const begun: number[] = [];
    for (let work = 0; work < 5; work += 1) {
      turns.wait(1, () => {
        begun.push(turn);
        turns.note(TURN_MS / 2);
      });
    }
    for (; turn < 100; turn += 1) await nextTurn();
    const [first, , second, , third] = begun;
    assert.deepEqual(begun, [first, first, second, second, third]);
    assert.equal(new Set(begun).size, 3);
  });

  it('runs once per turn of the event loop, even for work that queues itself again', async () => {
    const turns = new WorkTurns();
    let turn = 0;
    const begun: number[] = [];
    const workAgain = (): void => {
      begun.push(turn);
      turns.note(TURN_MS);
      if (begun.length < 20) turns.wait(1, workAgain);
    };
    turns.wait(1, workAgain);
    for (; turn < 1000; turn += 1) await nextTurn();
    assert.equal(begun.length, 20);
    assert.equal(new Set(begun).size, 20);
  });

  it('has no time left after a turn is used up until the next one', async () => {
    const turns = new WorkTurns();
    assert.equal(turns.hasTime, true);
    turns.note(TURN_MS);
    assert.equal(turns.hasTime, false);
    assert.deepEqual(await order(turns, [1], 0), [1]);
    assert.equal(turns.hasTime, true);
  });

  it('gives more time to a user alone than to one with others waiting', () => {
    const turns = new WorkTurns();
    const alone = turns.sliceMs;
    turns.wait(1, () => undefined);
    assert.ok(turns.sliceMs < alone / 2, `${turns.sliceMs} of ${alone}`);
  });
});
