import assert from 'node:assert/strict';
import { createServer, connect } from 'node:net';
import path from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Emitter, NEVER } from '../../daemon/emitter.ts';
import { FairScheduler, LongReads, TimeSlice } from '../../daemon/time-slice.ts';
import type { LongRead } from '../../daemon/time-slice.ts';
import { countTurns } from '../support/event-loop.ts';
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

describe('FairScheduler', () => {
  it('serves users in turn, however many tasks one of them has', async () => {
    const scheduler = new FairScheduler();
    const order: (number | undefined)[] = [];
    const task = async (uid: number | undefined, slices: number): Promise<void> => {
      for (let slice = 0; slice < slices; slice += 1) {
        await scheduler.next(uid);
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
    const scheduler = new FairScheduler();
    const begun = await Promise.all(
      Array.from({ length: 10 }, async (_, uid) => {
        await scheduler.next(uid);
        return loop.count;
      }),
    );
    assert.equal(new Set(begun).size, 10, `slices began in the turns ${begun.join(', ')}`);
  });

  it('gives busy others as long as a slice took, up to the limit', async (t) => {
    const clock = stopClock(t);
    await keepAsking(t, () => (clock.ms += 1));
    const scheduler = new FairScheduler();
    await scheduler.next(1);
    for (const [tookMs, othersMs] of [
      [20, 20],
      [3, 3],
      [10 * OTHERS_MS_MAX, OTHERS_MS_MAX],
    ] as const) {
      clock.ms += tookMs;
      const ended = clock.ms;
      await scheduler.next(1);
      const hadMs = clock.ms - ended;
      // They are also answered in the turn of the slice itself, and sometimes twice in one.
      assert.ok(othersMs <= hadMs && hadMs <= othersMs + 5, `${hadMs} ms after a slice of ${tookMs} ms`);
    }
  });

  it('continues at once if others have nothing to do', async (t) => {
    const clock = stopClock(t);
    countTurns(t, () => (clock.ms += 1));
    const scheduler = new FairScheduler();
    await scheduler.next(1);
    for (let slice = 0; slice < 3; slice += 1) {
      clock.ms += 50;
      const ended = clock.ms;
      await scheduler.next(1);
      assert.ok(clock.ms <= ended + 5, `${clock.ms - ended} ms`);
    }
  });
});

describe('TimeSlice', () => {
  it('waits for its turn before its first slice and after each one, and otherwise returns at once', async (t) => {
    const clock = stopClock(t);
    const loop = countTurns(t);
    const slice = new TimeSlice(new FairScheduler(), 1);
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
    const scheduler = new FairScheduler();
    const order: number[] = [];
    await Promise.all(
      [1, 1, 1, 2].map(async (uid) => {
        await new TimeSlice(scheduler, uid).pause();
        order.push(uid);
      }),
    );
    assert.deepEqual(order, [1, 2, 1, 1]);
  });
});

describe('LongReads', () => {
  /** Begins reads of one user, one after the other; `begun` has those that have a place. */
  function beginReads(reads: LongReads, uid: number, count: number): { readonly begun: LongRead[] } {
    const begun: LongRead[] = [];
    for (let index = 0; index < count; index += 1) void reads.begin(uid, NEVER).then((read) => begun.push(read));
    return { begun };
  }

  it('lets four reads of a user be under way, and the others wait for their ends, in order', async () => {
    const reads = new LongReads(new FairScheduler());
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    const all = Promise.all(
      Array.from({ length: 10 }, async (_, index) => {
        using _read = await reads.begin(1, NEVER);
        begun.push(index);
        await new Promise<void>((resolve) => void ends.push(resolve));
      }),
    );
    for (let ended = 0; ended < 10; ended += 1) {
      await nextTurn();
      assert.equal(begun.length, Math.min(ended + 4, 10));
      ends[ended]?.();
    }
    await all;
    assert.deepEqual(begun, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it('lets no read wait for clients that have stopped reading, unless sixteen reads are held', async (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const clock = stopClock(t);
    const reads = new LongReads(new FairScheduler());
    const { begun } = beginReads(reads, 1, 20);
    for (const expected of [4, 8, 12, 16, 16]) {
      await nextTurn();
      assert.equal(begun.length, expected);
      const newest = begun.slice(expected - 4);
      await Promise.all(newest.map((read) => read.pause()));
      t.mock.timers.tick(1000);
      await nextTurn();
      assert.equal(begun.length, expected, 'the newest have stopped only just now');
      clock.ms += 1001;
      t.mock.timers.tick(1000);
    }
    begun[0]?.[Symbol.dispose]();
    await nextTurn();
    assert.equal(begun.length, 17);
  });

  it('gives every user places of their own', async () => {
    const reads = new LongReads(new FairScheduler());
    beginReads(reads, 1, 100);
    const others = beginReads(reads, 2, 4);
    await nextTurn();
    assert.equal(others.begun.length, 4);
  });

  it('ends a read that waits when its caller leaves, and passes its turn on', async () => {
    const reads = new LongReads(new FairScheduler());
    const { begun } = beginReads(reads, 1, 4);
    const gone = new Emitter();
    const abandoned = assert.rejects(reads.begin(1, gone.subscribe), { code: 'Busy' });
    let hasPlace = false;
    void reads.begin(1, NEVER).then(() => (hasPlace = true));
    await nextTurn();
    gone.fire();
    await abandoned;
    assert.equal(hasPlace, false);
    begun[0]?.[Symbol.dispose]();
    await nextTurn();
    assert.equal(hasPlace, true);
  });

  it('ends a read under way at its next pause when its caller has left, also between its turn and its start', async () => {
    const reads = new LongReads(new FairScheduler());
    const { begun } = beginReads(reads, 1, 4);
    await nextTurn();
    const gone = new Emitter();
    const waiting = reads.begin(1, gone.subscribe);
    begun[0]?.[Symbol.dispose]();
    gone.fire();
    const read = await waiting;
    await assert.rejects(read.pause(), { code: 'Busy' });
    // Its place counts until it is disposed of.
    const next = beginReads(reads, 1, 1);
    await nextTurn();
    assert.equal(next.begun.length, 0);
    read[Symbol.dispose]();
    await nextTurn();
    assert.equal(next.begun.length, 1);
  });

  it('subscribes to nothing any more after the end of a read', async () => {
    let subscribed = 0;
    const onGone = (): (() => void) => {
      subscribed += 1;
      return () => void (subscribed -= 1);
    };
    const reads = new LongReads(new FairScheduler());
    const all = Array.from({ length: 8 }, async () => {
      using read = await reads.begin(1, onGone);
      await read.pause();
    });
    assert.equal(subscribed, 8);
    await Promise.all(all);
    assert.equal(subscribed, 0);
  });

  it('refuses a read if a thousand of the same user wait', async () => {
    const reads = new LongReads(new FairScheduler());
    beginReads(reads, 1, 4 + 1000);
    await assert.rejects(reads.begin(1, NEVER), { code: 'Busy' });
    await reads.begin(2, NEVER);
  });
});
