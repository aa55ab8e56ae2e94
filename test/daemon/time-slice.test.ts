import assert from 'node:assert/strict';
import { createServer, connect } from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { TimeSlice, Turns } from '../../daemon/time-slice.ts';
import { temporaryDirectory } from '../support/temporary-directory.ts';

const SLICE_MS = 4;

/** The longest time that others get between two slices. */
const OTHERS_MS_MAX = 100;

/** Stops the clock; the test advances it. */
function stopClock(t: TestContext): { ms: number } {
  const clock = { ms: 1000 };
  t.mock.method(performance, 'now', () => clock.ms);
  return clock;
}

/** Counts the turns of the event loop. */
function countTurns(t: TestContext, onTurn: () => void = () => undefined): { count: number } {
  const turns = { count: 0 };
  let next: NodeJS.Immediate;
  const count = (): void => {
    turns.count += 1;
    onTurn();
    next = setImmediate(count);
  };
  next = setImmediate(count);
  t.after(() => clearImmediate(next));
  return turns;
}

/**
 * Makes a peer that gets an answer in each turn of the event loop, and asks again. `onAnswer` is called at each answer.
 */
async function keepAsking(t: TestContext, onAnswer: () => void): Promise<void> {
  const place = path.join(temporaryDirectory(t), 'socket');
  const server = createServer((socket) => {
    socket.on('data', (bytes) => socket.write(bytes));
    socket.on('error', () => socket.destroy());
  });
  await new Promise<void>((resolve) => void server.listen(place, resolve));
  const peer = connect(place);
  t.after(async () => {
    peer.destroy();
    await new Promise((resolve) => void server.close(resolve));
  });
  await new Promise<void>((resolve) => {
    peer.on('data', (bytes) => {
      onAnswer();
      peer.write(bytes);
      resolve();
    });
    peer.write('.');
  });
}

describe('Turns', () => {
  it('serves users in turn, however many tasks one of them has', async () => {
    const turns = new Turns();
    const order: (number | undefined)[] = [];
    const task = async (uid: number | undefined, slices: number): Promise<void> => {
      for (let slice = 0; slice < slices; slice += 1) {
        await turns.next(uid);
        order.push(uid);
      }
    };
    const crowd = Array.from({ length: 50 }, () => task(1, 2));
    await Promise.all([task(2, 3), task(undefined, 3)]);
    assert.ok(order.length <= 9, `${order.length} slices until those of two others were done`);
    await Promise.all(crowd);
    assert.equal(order.length, 106);
  });

  it('starts one slice in each turn of the event loop', async (t) => {
    const loop = countTurns(t);
    const turns = new Turns();
    const begun = await Promise.all(
      Array.from({ length: 10 }, async (_, uid) => {
        await turns.next(uid);
        return loop.count;
      }),
    );
    assert.equal(new Set(begun).size, 10, `slices began in the turns ${begun.join(', ')}`);
  });

  it('gives busy others as long as a slice took, up to the limit', async (t) => {
    const clock = stopClock(t);
    await keepAsking(t, () => (clock.ms += 1));
    const turns = new Turns();
    await turns.next(1);
    for (const [tookMs, othersMs] of [
      [20, 20],
      [3, 3],
      [10 * OTHERS_MS_MAX, OTHERS_MS_MAX],
    ] as const) {
      clock.ms += tookMs;
      const ended = clock.ms;
      await turns.next(1);
      const hadMs = clock.ms - ended;
      // They are also answered in the turn of the slice itself, and sometimes twice in one.
      assert.ok(othersMs <= hadMs && hadMs <= othersMs + 5, `${hadMs} ms after a slice of ${tookMs} ms`);
    }
  });

  it('continues at once if others have nothing to do', async (t) => {
    const clock = stopClock(t);
    countTurns(t, () => (clock.ms += 1));
    const turns = new Turns();
    await turns.next(1);
    for (let slice = 0; slice < 3; slice += 1) {
      clock.ms += 50;
      const ended = clock.ms;
      await turns.next(1);
      assert.ok(clock.ms <= ended + 5, `${clock.ms - ended} ms`);
    }
  });
});

describe('TimeSlice', () => {
  it('waits for its turn before its first slice and after each one, and otherwise returns at once', async (t) => {
    const clock = stopClock(t);
    const loop = countTurns(t);
    const slice = new TimeSlice(new Turns(), 1);
    for (let round = 0; round < 3; round += 1) {
      assert.equal(slice.isOver, true);
      const before = loop.count;
      await slice.pause();
      assert.ok(loop.count > before, 'no turn was waited for');
      const began = loop.count;
      for (let ms = 0; ms < SLICE_MS; ms += 1) {
        assert.equal(slice.isOver, false);
        await slice.pause();
        clock.ms += 1;
      }
      assert.equal(loop.count, began);
    }
  });

  it('queues with the other tasks of its user', async () => {
    const turns = new Turns();
    const order: number[] = [];
    await Promise.all(
      [1, 1, 1, 2].map(async (uid) => {
        await new TimeSlice(turns, uid).pause();
        order.push(uid);
      }),
    );
    assert.deepEqual(order, [1, 2, 1, 1]);
  });
});
