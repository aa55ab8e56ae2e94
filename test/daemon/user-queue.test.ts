import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { UserQueue } from '../../daemon/user-queue.ts';

describe('UserQueue', () => {
  it('serves users and the daemon itself in turn, each in its own order', () => {
    const queue = new UserQueue();
    const done: string[] = [];
    for (const [uid, what] of [
      [1, 'a'],
      [1, 'b'],
      [1, 'c'],
      [2, 'd'],
      [undefined, 'e'],
      [2, 'f'],
    ] as const) {
      queue.add(uid, () => void done.push(what));
    }
    for (let work = queue.take(); work !== undefined; work = queue.take()) work();
    assert.deepEqual(done, ['a', 'd', 'e', 'b', 'f', 'c']);
    assert.equal(queue.isEmpty, true);
  });

  it('puts a user who comes again behind all others', () => {
    const queue = new UserQueue();
    const done: number[] = [];
    const add = (uid: number): void => queue.add(uid, () => void done.push(uid));
    for (const uid of [1, 2, 3]) add(uid);
    for (let turn = 0; turn < 6; turn += 1) {
      queue.take()?.();
      add(done.at(-1) ?? 0);
    }
    assert.deepEqual(done, [1, 2, 3, 1, 2, 3]);
  });

  it('keeps the order of what is added while some of it is taken', () => {
    const queue = new UserQueue<number>();
    const taken: (number | undefined)[] = [];
    for (let number = 0; number < 300; number += 1) {
      queue.add(1, number);
      if (number % 3 === 0) taken.push(queue.take());
    }
    while (!queue.isEmpty) taken.push(queue.take());
    assert.deepEqual(
      taken,
      Array.from({ length: 300 }, (_, number) => number),
    );
  });
});
